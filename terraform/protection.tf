# What is refused at plan because data would be lost, or a secret written that was not given.
#
# A `terraform_data` here holds the time of the plan that made it, and is made anew when its trigger changes. So its time
# is that of this plan exactly when the trigger has changed, which a precondition can ask while nothing is changed yet.

locals {
  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"
  # What cannot change without replacing a bucket, a topic or a subscription, and losing what waits in it.
  fixed = {
    event_filter  = var.event_filter
    event_topic   = var.event_topic
    import_bucket = try(var.import_bucket.name, null)
    kms_key       = var.kms_key
    name          = var.name
    project_id    = var.project_id
    region        = var.region
  }
  is_new            = terraform_data.installed.input == plantimestamp()
  changed           = [for name, value in terraform_data.fixed : name if value.input == plantimestamp()]
  protection_lifted = !var.deletion_protection && terraform_data.protection.input != plantimestamp()
}

resource "terraform_data" "installed" {
  input = plantimestamp()
  # A version of the module that holds more of them fast finds them new, not changed.
  triggers_replace = keys(local.fixed)

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [google_pubsub_subscription.event, google_pubsub_subscription.object]
}

resource "terraform_data" "fixed" {
  for_each = local.fixed

  input            = plantimestamp()
  triggers_replace = each.value

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [google_pubsub_subscription.event, google_pubsub_subscription.object]
}

resource "terraform_data" "protection" {
  input            = plantimestamp()
  triggers_replace = var.deletion_protection

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [google_pubsub_subscription.event, google_pubsub_subscription.object]
}

resource "terraform_data" "mixpanel_secret_written" {
  count = local.has_own_secret ? 1 : 0

  input            = plantimestamp()
  triggers_replace = [var.project_id, var.name, var.mixpanel_secret_revision]

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [google_secret_manager_secret_version.mixpanel]
}

resource "terraform_data" "refusals" {
  lifecycle {
    precondition {
      condition     = local.is_new || length(local.changed) == 0 || local.protection_lifted
      error_message = "Another ${join(", ", local.changed)} replaces what holds data, and loses what waits in it. Make a second instance beside this one, with another name, or read \"Not supported\" in the module's README; then set deletion_protection = false, apply that alone, and change it after that."
    }

    precondition {
      condition     = var.mixpanel_secret != null || alltrue([for written in terraform_data.mixpanel_secret_written : written.input != plantimestamp()])
      error_message = "The secret is written by this plan: give it as TF_VAR_mixpanel_secret, or name a version that is there already with mixpanel_secret_version."
    }

    precondition {
      condition     = length(local.mapping_problems) == 0
      error_message = "mapping is wrong: ${join("; ", local.mapping_problems)}."
    }

    precondition {
      condition     = length(local.foreign_imports) == 0
      error_message = "transform and transform_files may import node: modules, mixpanel-cloud-ingestion/transform and one another, with their extensions; these are neither: ${join(", ", local.foreign_imports)}."
    }
  }
}
