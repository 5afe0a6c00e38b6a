# Everything new, in one project: a bucket and a topic whose files and messages end up in Mixpanel.

terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.45, < 8"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

module "ingestion" {
  source = "../.."

  project_id                        = var.project_id
  region                            = var.region
  mixpanel_project_id               = var.mixpanel_project_id
  mixpanel_service_account_username = var.mixpanel_service_account_username
  mixpanel_secret                   = var.mixpanel_secret
  notification_channels             = var.notification_channels
}
