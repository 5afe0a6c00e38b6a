# A team's own repository: its configuration, and its transform with a test.

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
  # In your repository: "git::https://github.com/OWNER/mixpanel-cloud-ingestion.git//terraform?ref=v1.0.0"
  source = "../.."

  project_id                        = var.project_id
  region                            = var.region
  mixpanel_project_id               = var.mixpanel_project_id
  mixpanel_service_account_username = var.mixpanel_service_account_username
  mixpanel_secret_version           = var.mixpanel_secret_version

  transform             = "${path.root}/transform.ts"
  transform_files       = { "lib/hashed.ts" = "${path.root}/lib/hashed.ts" }
  transform_environment = { INTERNAL_DOMAIN = "example.com" }
  transform_secrets     = { DISTINCT_ID_KEY = var.distinct_id_key_version }
}
