variable "project_id" {
  description = "Google Cloud project to deploy to."
  type        = string
}

variable "region" {
  description = "Region to deploy to."
  type        = string
}

variable "import_bucket" {
  description = "The bucket to import from, and the project that it is in."
  type        = object({ name = string, project_id = string })
}

variable "object_prefix" {
  description = "Only objects whose names begin so are imported."
  type        = string
  default     = ""
}

variable "event_topic" {
  description = "The topic to import from, as projects/P/topics/T."
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

variable "mixpanel_secret_version" {
  description = "The secret of the Mixpanel service account, as projects/P/secrets/S/versions/N."
  type        = string
}
