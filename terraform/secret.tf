# The credential: written to Secret Manager without passing through a state or a plan, or there already.

locals {
  has_own_secret = var.mixpanel_secret_version == null
  given_secret   = local.has_own_secret ? [] : split("/", var.mixpanel_secret_version)
  # Only the version depends on the version resource: writing a new one must not replace bindings on the secret.
  secret = {
    project = local.has_own_secret ? var.project_id : local.given_secret[1]
    name    = local.has_own_secret ? google_secret_manager_secret.mixpanel[0].secret_id : local.given_secret[3]
    version = local.has_own_secret ? google_secret_manager_secret_version.mixpanel[0].version : local.given_secret[5]
  }
}

resource "google_secret_manager_secret" "mixpanel" {
  count = local.has_own_secret ? 1 : 0

  project   = var.project_id
  secret_id = "${var.name}-credentials"
  labels    = local.labels

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [time_sleep.apis]
}

resource "google_secret_manager_secret_version" "mixpanel" {
  count = local.has_own_secret ? 1 : 0

  secret                 = google_secret_manager_secret.mixpanel[0].id
  secret_data_wo         = var.mixpanel_secret
  secret_data_wo_version = var.mixpanel_secret_revision

  # The functions go over to the new version before the old one is destroyed.
  lifecycle {
    create_before_destroy = true
  }
}
