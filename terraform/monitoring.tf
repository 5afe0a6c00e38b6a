# What is counted, shown and alerted on. Metrics come from the functions' summary lines (see docs/logs.md); alerts on log
# lines match the lines themselves, as a policy on a metric that was just made is refused for minutes.

locals {
  # A function of the second generation is a Cloud Run service of the same name, as long as that is lower-case with hyphens.
  service_names      = [for key in ["import", "drain"] : google_cloudfunctions2_function.this[key].name]
  monitoring_project = coalesce(var.monitoring_project_id, var.project_id)
  log_filter         = "resource.type=\"cloud_run_revision\" AND resource.labels.project_id=\"${var.project_id}\" AND resource.labels.service_name=(${join(" OR ", [for name in local.service_names : "\"${name}\""])})"
  summed_fields      = ["read", "imported", "rejected", "dropped", "attempts", "throttled", "bytes"]
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
  project = local.monitoring_project
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
    field => "sum(rate({\"__name__\"=\"logging.googleapis.com/user/${var.name}/${field}_sum\",\"monitored_resource\"=\"cloud_run_revision\",\"project_id\"=\"${var.project_id}\"}[5m])) * 60"
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
        key => "sum({\"__name__\"=\"pubsub.googleapis.com/subscription/num_undelivered_messages\",\"project_id\"=\"${var.project_id}\",\"subscription_id\"=\"${name}\"})"
      }
    },
    {
      title = "Age of the oldest message that waits, in seconds"
      queries = {
        for key, name in local.subscriptions :
        key => "max({\"__name__\"=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\",\"project_id\"=\"${var.project_id}\",\"subscription_id\"=\"${name}\"})"
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
        name => "sum(rate({\"__name__\"=\"logging.googleapis.com/log_entry_count\",\"monitored_resource\"=\"cloud_run_revision\",\"project_id\"=\"${var.project_id}\",\"severity\"=\"ERROR\",\"service_name\"=\"${name}\"}[5m])) * 60"
      }
    },
    {
      title = "What it costs: bytes sent a minute, before compression and as they left"
      queries = merge({ "before compression" = local.per_minute["bytes"] }, {
        for name in local.service_names :
        name => "sum(rate({\"__name__\"=\"run.googleapis.com/container/network/sent_bytes_count\",\"monitored_resource\"=\"cloud_run_revision\",\"project_id\"=\"${var.project_id}\",\"service_name\"=\"${name}\"}[5m])) * 60"
      })
    },
    {
      title = "What it costs: billable instance seconds a minute"
      queries = {
        for name in local.service_names :
        name => "sum(rate({\"__name__\"=\"run.googleapis.com/container/billable_instance_time\",\"monitored_resource\"=\"cloud_run_revision\",\"project_id\"=\"${var.project_id}\",\"service_name\"=\"${name}\"}[5m])) * 60"
      }
    },
  ]
}
