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

variable "mixpanel_secret_version" {
  description = "Version of the secret of the Mixpanel service account, as projects/P/secrets/S/versions/N."
  type        = string
}

variable "distinct_id_key_version" {
  description = "Version of the key that ids are hashed with, as projects/P/secrets/S/versions/N."
  type        = string
}
