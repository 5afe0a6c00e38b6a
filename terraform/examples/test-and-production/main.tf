# Two instances side by side, each with a Mixpanel project of its own: what is new is tried in the one for tests first.

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
  source   = "../.."
  for_each = var.instances

  project_id                        = var.project_id
  region                            = var.region
  name                              = each.key
  labels                            = { environment = each.key }
  mixpanel_project_id               = each.value.mixpanel_project_id
  mixpanel_service_account_username = each.value.mixpanel_service_account_username
  mixpanel_secret                   = lookup(var.mixpanel_secrets, each.key, null)
  dead_letter_retention_days        = each.value.dead_letter_retention_days
  alerts                            = each.value.alerts ? {} : null
  notification_channels             = var.notification_channels
}
