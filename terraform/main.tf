# What everything else needs: the APIs, and values that several files use.

locals {
  apis = [
    "artifactregistry", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "iam", "logging",
    "monitoring", "pubsub", "run", "secretmanager", "storage",
  ]
  labels = merge({ app = "mixpanel-cloud-ingestion" }, var.labels)
  # Cloud Functions ends a call after this; Pub/Sub and Cloud Scheduler wait for longer.
  function_timeout = 580
  ack_deadline     = 600
  attempt_deadline = 600
  # The longest that Pub/Sub keeps what is not acknowledged: 31 days.
  retention_days = 31
  retention      = "${86400 * local.retention_days}s"
  propagation    = "60s"
}

resource "google_project_service" "api" {
  for_each = toset(var.enable_apis ? local.apis : [])

  project            = var.project_id
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

# An API that was just enabled refuses calls for a while.
resource "time_sleep" "apis" {
  create_duration = var.enable_apis ? local.propagation : "0s"

  depends_on = [google_project_service.api]
}

data "google_project" "this" {
  project_id = var.project_id

  depends_on = [time_sleep.apis]
}
