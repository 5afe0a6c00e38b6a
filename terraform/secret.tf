# Secrets: the credential, written to Secret Manager without passing through a state or a plan, or there already; the key
# of hashes, and what one's own transform needs.

locals {
  has_token      = var.mixpanel_service_account_username == null
  credential     = local.has_token ? "MIXPANEL_PROJECT_TOKEN" : "MIXPANEL_SERVICE_ACCOUNT_SECRET"
  has_own_secret = var.mixpanel_secret_version == null
  given_secret   = local.has_own_secret ? [] : split("/", var.mixpanel_secret_version)
  # Only the version depends on the version resource: writing a new one must not replace bindings on the secret.
  secret = {
    project = local.has_own_secret ? var.project_id : local.given_secret[1]
    name    = local.has_own_secret ? google_secret_manager_secret.mixpanel[0].secret_id : local.given_secret[3]
    version = local.has_own_secret ? google_secret_manager_secret_version.mixpanel[0].version : local.given_secret[5]
  }
  given_secrets = {
    for variable, version in merge(
      var.hash_key_secret == null ? {} : { IMPORT_HASH_KEY = var.hash_key_secret },
      var.transform_secrets,
    ) :
    variable => { project = split("/", version)[1], name = split("/", version)[3], version = split("/", version)[5] }
  }
  secret_variables = merge({ (local.credential) = local.secret }, local.given_secrets)
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

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key == null ? [] : [var.kms_key]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  depends_on = [time_sleep.apis]
}

resource "google_secret_manager_secret_version" "mixpanel" {
  count = local.has_own_secret ? 1 : 0

  secret = google_secret_manager_secret.mixpanel[0].id
  # Read only when a version is written, and then it is there: see `mixpanel_secret_written`. Google refuses an empty one.
  secret_data_wo         = var.mixpanel_secret == null ? "" : var.mixpanel_secret
  secret_data_wo_version = var.mixpanel_secret_revision
  # After a rotation the old version can be enabled again.
  deletion_policy = "DISABLE"

  # The functions go over to the new version before the old one is disabled.
  lifecycle {
    create_before_destroy = true
  }
}
