# Buckets: what is imported, what the functions know of it, what they are deployed from.

locals {
  import_bucket         = var.import_bucket == null ? "${var.project_id}-${var.name}-import" : var.import_bucket.name
  import_bucket_project = var.import_bucket == null ? var.project_id : var.import_bucket.project_id
  state_bucket          = "${var.project_id}-${var.name}-state"
  dead_letter_bucket    = "${var.project_id}-${var.name}-dead-letters"
  # What is deleted by mistake can be restored for a week.
  soft_delete = 604800
}

resource "google_storage_bucket" "import" {
  count = var.import_bucket == null ? 1 : 0

  project                     = var.project_id
  name                        = local.import_bucket
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  dynamic "lifecycle_rule" {
    for_each = var.s3_copy_retention_days == null ? [] : [var.s3_copy_retention_days]

    content {
      condition {
        age            = lifecycle_rule.value
        matches_prefix = ["s3/"]
      }
      action {
        type = "Delete"
      }
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [time_sleep.apis]
}

# Checkpoints say which objects are done: they never expire. Dead letters are here only if they were written before they
# had a bucket of their own.
resource "google_storage_bucket" "state" {
  project                     = var.project_id
  name                        = local.state_bucket
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  soft_delete_policy {
    retention_duration_seconds = local.soft_delete
  }

  depends_on = [time_sleep.apis]
}

# Apart from checkpoints, so that a function that may write them can neither read nor delete what is here.
resource "google_storage_bucket" "dead_letters" {
  project                     = var.project_id
  name                        = local.dead_letter_bucket
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  # Dead letters may be the only copy of a message; but what is to be gone after some days is to be gone then.
  soft_delete_policy {
    retention_duration_seconds = var.dead_letter_retention_days == null ? local.soft_delete : 0
  }

  dynamic "lifecycle_rule" {
    for_each = var.dead_letter_retention_days == null ? [] : [var.dead_letter_retention_days]

    content {
      condition {
        age = lifecycle_rule.value
      }
      action {
        type = "Delete"
      }
    }
  }

  depends_on = [time_sleep.apis]
}

resource "google_storage_bucket" "source" {
  project                     = var.project_id
  name                        = "${var.project_id}-${var.name}-source"
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [time_sleep.apis]
}

data "google_storage_project_service_account" "import" {
  project = local.import_bucket_project

  depends_on = [time_sleep.apis]
}

# Objects that are finalized are told of once there is someone to hear it.
resource "google_storage_notification" "object" {
  bucket         = var.import_bucket == null ? google_storage_bucket.import[0].name : var.import_bucket.name
  topic          = google_pubsub_topic.object.id
  payload_format = "JSON_API_V1"
  event_types    = ["OBJECT_FINALIZE"]
  # With globs the function alone decides, so that nothing is kept from it that they include.
  object_name_prefix = var.object_prefix == "" || var.object_include != null ? null : var.object_prefix

  depends_on = [google_pubsub_subscription.object, google_pubsub_topic_iam_member.storage_agent, time_sleep.bindings]

  lifecycle {
    create_before_destroy = true
  }
}
