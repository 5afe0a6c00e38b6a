variable "project_id" {
  description = "Google Cloud project to deploy to."
  type        = string
}

variable "region" {
  description = "Region in Europe to deploy to."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = startswith(var.region, "europe-")
    error_message = "region must be one in Europe, such as europe-west1."
  }
}

variable "mixpanel_project_id" {
  description = "Number of the Mixpanel project."
  type        = string
}

variable "mixpanel_service_account_username" {
  description = "User name of the Mixpanel service account."
  type        = string
}

variable "mixpanel_secret" {
  description = "The secret of the Mixpanel service account, given as TF_VAR_mixpanel_secret where it is written: the first time, and to rotate it."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "dead_letter_retention_days" {
  description = "Days after which dead letters, which hold personal data where the events do, are deleted for good."
  type        = number
  default     = 30
}
