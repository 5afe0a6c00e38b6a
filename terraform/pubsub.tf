# Topics and subscriptions. Neither subscription has a dead-letter policy, on purpose: it would count refusals and
# expired deadlines, so that an outage of Mixpanel moved good data aside. What is bad is dead-lettered by the functions.

locals {
  event_topic         = var.event_topic == null ? "projects/${var.project_id}/topics/${var.name}-events" : var.event_topic
  event_subscription  = "projects/${var.project_id}/subscriptions/${var.name}-events"
  object_subscription = "projects/${var.project_id}/subscriptions/${var.name}-objects"
  object_topic        = "projects/${var.project_id}/topics/${var.name}-objects"
  topic_retention     = var.topic_retention_days == null ? null : "${86400 * var.topic_retention_days}s"
}

resource "google_pubsub_topic" "object" {
  project                    = var.project_id
  name                       = "${var.name}-objects"
  deletion_policy            = local.deletion_policy
  kms_key_name               = var.kms_key
  labels                     = local.labels
  message_retention_duration = local.topic_retention

  message_storage_policy {
    allowed_persistence_regions = [var.region]
    enforce_in_transit          = var.enforce_in_transit
  }

  depends_on = [time_sleep.apis]
}

resource "google_pubsub_topic" "event" {
  count = var.event_topic == null ? 1 : 0

  project                    = var.project_id
  name                       = "${var.name}-events"
  deletion_policy            = local.deletion_policy
  kms_key_name               = var.kms_key
  labels                     = local.labels
  message_retention_duration = local.topic_retention

  message_storage_policy {
    allowed_persistence_regions = [var.region]
    enforce_in_transit          = var.enforce_in_transit
  }

  depends_on = [time_sleep.apis]
}

resource "google_pubsub_subscription" "object" {
  project                    = var.project_id
  name                       = "${var.name}-objects"
  topic                      = google_pubsub_topic.object.id
  labels                     = local.labels
  ack_deadline_seconds       = local.ack_deadline
  deletion_policy            = local.deletion_policy
  message_retention_duration = local.retention

  # Without this it is a pull subscription that nobody pulls: it keeps everything.
  dynamic "push_config" {
    for_each = var.paused ? [] : [local.urls["import"]]

    content {
      # The functions framework reads the topic from this path.
      push_endpoint = "${push_config.value}/${local.object_topic}"

      oidc_token {
        service_account_email = local.emails["push"]
        # With a path in the endpoint, the audience must be given: the service's address.
        audience = push_config.value
      }
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    # Cloud Run refuses pushes that find no instance for 10 s. With longer back-offs a backlog waits while instances idle.
    maximum_backoff = "30s"
  }

  expiration_policy {
    ttl = ""
  }

  lifecycle {
    precondition {
      condition     = local.function_timeout < local.ack_deadline
      error_message = "The functions' time-out must be below the ack deadline, or what is under way is delivered again."
    }
  }

  depends_on = [google_cloud_run_service_iam_member.push]
}

resource "google_pubsub_subscription" "event" {
  project                    = var.project_id
  name                       = "${var.name}-events"
  topic                      = var.event_topic == null ? google_pubsub_topic.event[0].id : var.event_topic
  labels                     = local.labels
  ack_deadline_seconds       = local.ack_deadline
  deletion_policy            = local.deletion_policy
  filter                     = var.event_filter
  message_retention_duration = local.retention

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [time_sleep.apis]
}
