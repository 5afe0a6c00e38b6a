# Failed transfers, by the lines that the service logs of them
# (https://cloud.google.com/storage-transfer/docs/configure-transfer-logs).

locals {
  jobs    = { for key, job in google_storage_transfer_job.new : key => compact([job.name, try(google_storage_transfer_job.existing[key].name, "")]) }
  job_ids = [for name in flatten(values(local.jobs)) : trimprefix(name, "transferJobs/")]
}

resource "google_monitoring_alert_policy" "transfer" {
  count = var.alert && length(var.sources) > 0 ? 1 : 0

  project               = var.project_id
  display_name          = "Mixpanel ingestion ${var.name}: objects of Amazon S3 could not be copied"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "A transfer failed"

    condition_matched_log {
      filter = join(" AND ", [
        "resource.type=\"storage_transfer_job\"",
        "resource.labels.job_id=~\"^(transferJobs/)?(${join("|", local.job_ids)})$\"",
        "logName=\"projects/${var.project_id}/logs/storagetransfer.googleapis.com%2Ftransfer_activity\"",
        "NOT jsonPayload.status.statusCode=\"OK\"",
      ])
      label_extractors = { status = "EXTRACT(jsonPayload.status.statusCode)" }
    }
  }

  alert_strategy {
    auto_close = "3600s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = "Nothing is lost: the notification stays in the queue in AWS, for up to 14 days. PERMISSION_DENIED: the role needs s3:GetObject, and kms:Decrypt if there is a key. NOT_FOUND: the object was deleted before it was copied. See docs/s3.md."
  }

  depends_on = [time_sleep.api]
}
