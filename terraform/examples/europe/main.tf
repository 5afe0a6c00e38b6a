# Data that stay in Europe: Google's region and Mixpanel's are European, and so is all that is stored on the way.

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
  mixpanel_region                   = "eu"
  mixpanel_project_id               = var.mixpanel_project_id
  mixpanel_service_account_username = var.mixpanel_service_account_username
  mixpanel_secret                   = var.mixpanel_secret
  dead_letter_retention_days        = var.dead_letter_retention_days
  enforce_in_transit                = true
}
