# A bucket, a topic and a secret that are there already, be they in this project or in others.

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
  import_bucket                     = var.import_bucket
  object_prefix                     = var.object_prefix
  event_topic                       = var.event_topic
  mixpanel_project_id               = var.mixpanel_project_id
  mixpanel_service_account_username = var.mixpanel_service_account_username
  mixpanel_secret_version           = var.mixpanel_secret_version
}
