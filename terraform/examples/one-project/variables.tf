variable "project_id" {
  description = "Google Cloud project to deploy to."
  type        = string
}

variable "region" {
  description = "Region to deploy to."
  type        = string
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

variable "notification_channels" {
  description = "Notification channels that alerts go to, as projects/P/notificationChannels/N."
  type        = list(string)
  default     = []
}
