# What is counted, shown and alerted on. Metrics come from the functions' summary lines (see docs/logs.md); alerts on log
# lines match the lines themselves, as a policy on a metric that was just made is refused for minutes.

locals {
  # A function of the second generation is a Cloud Run service of the same name, as long as that is lower-case with hyphens.
  service_names = [
    google_cloudfunctions2_function.import_object.name,
    google_cloudfunctions2_function.drain_subscription.name,
  ]
  log_filter    = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", [for name in local.service_names : "\"${name}\""])})"
  summed_fields = ["read", "imported", "rejected", "dropped", "attempts", "throttled", "bytes"]
  subscriptions = {
    objects = google_pubsub_subscription.object.name
    events  = google_pubsub_subscription.event.name
  }
}

resource "google_logging_metric" "summary" {
  for_each = toset(local.summed_fields)

  project         = var.project_id
  name            = "${var.name}/${each.key}"
  description     = "Field ${each.key} of the functions' summary lines"
  filter          = "${local.log_filter} AND jsonPayload.durationMs:* AND jsonPayload.${each.key}>0"
  value_extractor = "EXTRACT(jsonPayload.${each.key})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.key == "bytes" ? "By" : "1"
  }

  # Sums are what is shown; a distribution must have buckets all the same.
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 40
      growth_factor      = 2
      scale              = 1
    }
  }

  depends_on = [time_sleep.apis]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project_id
  dashboard_json = jsonencode({
    displayName = "Mixpanel ingestion: ${var.name}"
    mosaicLayout = {
      columns = 48
      tiles = [
        for index, chart in local.charts : merge(
          { width = 24, height = 16 },
          # Google drops zeros, and would show a change at each plan.
          index % 2 == 0 ? {} : { xPos = 24 },
          index < 2 ? {} : { yPos = 16 * floor(index / 2) },
          {
            widget = {
              title = chart.title
              xyChart = {
                dataSets = [
                  for legend, query in chart.queries : {
                    plotType       = "LINE"
                    targetAxis     = "Y1"
                    legendTemplate = legend
                    timeSeriesQuery = {
                      prometheusQuery = query
                    }
                  }
                ]
              }
            }
          },
        )
      ]
    }
  })

  depends_on = [google_logging_metric.summary]
}

locals {
  # Sums of a distribution: PromQL's `_sum`.
  per_minute = {
    for field in local.summed_fields :
    field => "sum(rate({\"__name__\"=\"logging.googleapis.com/user/${var.name}/${field}_sum\",\"monitored_resource\"=\"cloud_run_revision\"}[5m])) * 60"
  }
  charts = [
    {
      title   = "Events a minute"
      queries = { imported = local.per_minute["imported"], read = local.per_minute["read"] }
    },
    {
      title   = "Rejected and dropped a minute"
      queries = { rejected = local.per_minute["rejected"], dropped = local.per_minute["dropped"] }
    },
    {
      title = "Messages that wait"
      queries = {
        for key, name in local.subscriptions :
        key => "sum({\"__name__\"=\"pubsub.googleapis.com/subscription/num_undelivered_messages\",\"subscription_id\"=\"${name}\"})"
      }
    },
    {
      title = "Age of the oldest message that waits, in seconds"
      queries = {
        for key, name in local.subscriptions :
        key => "max({\"__name__\"=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\",\"subscription_id\"=\"${name}\"})"
      }
    },
    {
      title   = "Requests to Mixpanel a minute, and answers 429 among them"
      queries = { attempts = local.per_minute["attempts"], throttled = local.per_minute["throttled"] }
    },
    {
      title = "ERROR lines a minute"
      queries = {
        for name in local.service_names :
        name => "sum(rate({\"__name__\"=\"logging.googleapis.com/log_entry_count\",\"monitored_resource\"=\"cloud_run_revision\",\"severity\"=\"ERROR\",\"service_name\"=\"${name}\"}[5m])) * 60"
      }
    },
    {
      title = "What it costs: bytes sent a minute, before compression and as they left"
      queries = merge({ "before compression" = local.per_minute["bytes"] }, {
        for name in local.service_names :
        name => "sum(rate({\"__name__\"=\"run.googleapis.com/container/network/sent_bytes_count\",\"monitored_resource\"=\"cloud_run_revision\",\"service_name\"=\"${name}\"}[5m])) * 60"
      })
    },
    {
      title = "What it costs: billable instance seconds a minute"
      queries = {
        for name in local.service_names :
        name => "sum(rate({\"__name__\"=\"run.googleapis.com/container/billable_instance_time\",\"monitored_resource\"=\"cloud_run_revision\",\"service_name\"=\"${name}\"}[5m])) * 60"
      }
    },
  ]

  log_alerts = {
    credentials = {
      title  = "Mixpanel refuses the credentials"
      filter = "severity>=ERROR AND jsonPayload.code=\"credentials_refused\""
      labels = null
      advice = "Nothing is lost: everything waits in its subscription for up to 31 days. Check the service account and its role in Mixpanel, or the token, and the region. To write a new secret, raise mixpanel_secret_revision."
    }
    errors = {
      title  = "ERROR in a function"
      filter = "severity>=ERROR AND jsonPayload.code:* AND jsonPayload.code!=\"credentials_refused\""
      labels = { code = "EXTRACT(jsonPayload.code)" }
      advice = "The line's `code` says what it is: see docs/logs.md."
    }
    dead_letters = {
      title  = "Dead letters were written"
      filter = "jsonPayload.rejected>0"
      labels = null
      advice = "Records could not become events. `npm run dead-letters -- gs://${google_storage_bucket.dead_letters.name}` lists them by reason; `npm run replay` sends them again, once the reason is gone."
    }
  }
}

resource "google_monitoring_alert_policy" "backlog" {
  for_each = var.alerts ? local.subscriptions : {}

  project               = var.project_id
  display_name          = "Mixpanel ingestion ${var.name}: ${each.key} wait"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = "The oldest message of ${each.value} is older than ${var.max_backlog_minutes} minutes"

    condition_threshold {
      filter          = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${each.value}\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      comparison      = "COMPARISON_GT"
      threshold_value = 60 * var.max_backlog_minutes
      duration        = "0s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content = "What waits is not lost: it is kept for 31 days. Mixpanel may be out of reach or throttle (a WARNING with the code `throttled`), the configuration may be wrong, or more comes than the instances can take: look at the functions' log lines, `import_max_instances` and `drain_parallelism`."
  }

  depends_on = [time_sleep.apis]
}

resource "google_monitoring_alert_policy" "log" {
  for_each = { for key, alert in local.log_alerts : key => alert if var.alerts }

  project               = var.project_id
  display_name          = "Mixpanel ingestion ${var.name}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.title

    condition_matched_log {
      filter           = "${local.log_filter} AND ${each.value.filter}"
      label_extractors = each.value.labels
    }
  }

  alert_strategy {
    auto_close = "3600s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = each.value.advice
  }

  depends_on = [time_sleep.apis]
}
