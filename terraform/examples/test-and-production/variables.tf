variable "project_id" {
  description = "Google Cloud project to deploy to."
  type        = string
}

variable "region" {
  description = "Region to deploy to."
  type        = string
}

variable "instances" {
  description = "The instances by their names, which begin the names of all that they have."
  type = map(object({
    mixpanel_project_id               = string
    mixpanel_service_account_username = string
    dead_letter_retention_days        = optional(number)
    alerts                            = optional(bool, true)
  }))
}

variable "mixpanel_secrets" {
  description = "The secrets of the Mixpanel service accounts by instance, given as TF_VAR_mixpanel_secrets where they are written: the first time, and to rotate them."
  type        = map(string)
  default     = {}
  ephemeral   = true
  sensitive   = true
}

variable "notification_channels" {
  description = "Notification channels that alerts go to, as projects/P/notificationChannels/N."
  type        = list(string)
  default     = []
}
