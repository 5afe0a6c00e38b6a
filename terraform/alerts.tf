# What somebody is told of. Each alert has a threshold in `alerts`; null switches it off.

locals {
  thresholds = var.alerts == null ? { for name in keys(local.alert_ranges) : name => null } : merge(
    {
      backlog_minutes      = 30
      crash_minutes        = 60
      credentials_minutes  = 60
      dead_letters_percent = 1
      error_minutes        = 60
      retention_days_left  = 7
      silence_hours        = null
    },
    var.alerts,
  )
  # Log lines of the platform itself, and not those of requests: an answer 5xx is how the functions say "later".
  platform_lines = "logName=\"projects/${var.project_id}/logs/run.googleapis.com%2Fvarlog%2Fsystem\""

  log_alerts = {
    credentials = {
      title     = "Mixpanel refuses the credentials"
      severity  = "CRITICAL"
      threshold = local.thresholds.credentials_minutes
      filter    = "severity>=ERROR AND jsonPayload.code=\"credentials_refused\""
      labels    = null
      page      = "operate.md#rotate-credentials"
      advice    = "Nothing is lost: everything waits in its subscription for up to 31 days. Check the service account and its role in Mixpanel, or the token, and the region. To write a new secret, raise mixpanel_secret_revision."
    }
    errors = {
      title     = "ERROR in a function"
      severity  = "ERROR"
      threshold = local.thresholds.error_minutes
      filter    = "severity>=ERROR AND jsonPayload.code:* AND jsonPayload.code!=\"credentials_refused\""
      labels    = { code = "EXTRACT(jsonPayload.code)" }
      page      = "logs.md#codes"
      advice    = "The line's `code` says what it is: see docs/logs.md."
    }
    crashes = {
      title     = "A function crashed"
      severity  = "ERROR"
      threshold = local.thresholds.crash_minutes
      filter    = "${local.platform_lines} AND (severity>=ERROR OR textPayload=~\"Container called exit\\([1-9]\")"
      labels    = null
      page      = "operate.md#a-function-crashes"
      advice    = "An instance ran out of memory, or ended before it could say why. What it was at work on comes again. More `memory` helps against the first; look at the lines before it for the second."
    }
  }

  # A backfill keeps messages waiting for hours, but their number does not rise, and some are acknowledged all the time.
  metric_of = {
    for key, name in local.subscriptions : key => {
      for metric in ["ack_message_count", "num_undelivered_messages", "oldest_unacked_message_age"] :
      metric => "{\"__name__\"=\"pubsub.googleapis.com/subscription/${metric}\",\"project_id\"=\"${var.project_id}\",\"subscription_id\"=\"${name}\"}"
    }
  }
  rises = {
    for key, metric in local.metric_of :
    key => "sum(avg_over_time(${metric.num_undelivered_messages}[10m])) > 1.1 * sum(avg_over_time(${metric.num_undelivered_messages}[10m] offset 30m))"
  }
  stands = {
    for key, metric in local.metric_of :
    key => "(sum(increase(${metric.ack_message_count}[30m])) or vector(0)) < 1"
  }
  oldest = { for key, metric in local.metric_of : key => "max(${metric.oldest_unacked_message_age})" }
  summed = {
    for field in ["read", "rejected", "imported"] :
    field => "{\"__name__\"=\"logging.googleapis.com/user/${var.name}/${field}_sum\",\"monitored_resource\"=\"cloud_run_revision\",\"project_id\"=\"${var.project_id}\"}"
  }
  metric_alerts = merge(
    {
      for key, name in local.subscriptions : "backlog_${key}" => {
        title     = "${key} wait, and the backlog does not get smaller"
        severity  = "WARNING"
        threshold = local.thresholds.backlog_minutes
        query     = "${local.oldest[key]} > ${60 * coalesce(local.thresholds.backlog_minutes, 0)} and ((${local.rises[key]}) or (${local.stands[key]}))"
        duration  = "900s"
        page      = "operate.md#what-is-late"
        advice    = "What waits is not lost: it is kept for 31 days. Mixpanel may be out of reach or throttle (a WARNING with the code `throttled`), the configuration may be wrong, or more comes than the instances can take: look at the functions' log lines, `import_max_instances` and `drain_parallelism`."
      }
    },
    {
      for key, name in local.subscriptions : "retention_${key}" => {
        title     = "${key} are about to be lost"
        severity  = "CRITICAL"
        threshold = local.thresholds.retention_days_left
        query     = "${local.oldest[key]} > ${86400 * (local.retention_days - coalesce(local.thresholds.retention_days_left, 0))}"
        duration  = "0s"
        page      = "operate.md#what-is-late"
        advice    = "Pub/Sub keeps a message for 31 days and then drops it. Find out what holds it up, or pull the messages and keep them elsewhere."
      }
    },
    {
      dead_letters = {
        title     = "Many records are rejected"
        severity  = "WARNING"
        threshold = local.thresholds.dead_letters_percent
        query     = "100 * sum(increase(${local.summed["rejected"]}[1h])) / sum(increase(${local.summed["read"]}[1h])) > ${coalesce(local.thresholds.dead_letters_percent, 0)}"
        duration  = "0s"
        page      = "dead-letters.md"
        advice    = "More than ${coalesce(local.thresholds.dead_letters_percent, 0)} in a hundred records of the last hour could not become events. `npm run dead-letters -- gs://${local.dead_letter_bucket}` lists them by reason; `npm run replay` sends them again, once the reason is gone."
      }
      silence = {
        title     = "Nothing was imported"
        severity  = "ERROR"
        threshold = local.thresholds.silence_hours
        query     = "(sum(increase(${local.summed["imported"]}[${coalesce(local.thresholds.silence_hours, 1)}h])) or vector(0)) < 1"
        duration  = "0s"
        page      = "operate.md#is-my-file-in"
        advice    = "No event got into Mixpanel for ${coalesce(local.thresholds.silence_hours, 1)} hours. Look whether anything arrives at all, and whether the instance is paused."
      }
    },
  )
}

resource "google_monitoring_alert_policy" "metric" {
  for_each = { for key, alert in local.metric_alerts : key => alert if alert.threshold != null }

  project               = local.monitoring_project
  display_name          = "Mixpanel ingestion ${var.name}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = var.notification_channels
  severity              = each.value.severity
  user_labels           = local.labels

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = each.value.duration
      evaluation_interval = "60s"
      # A metric that was just made is not known for minutes.
      disable_metric_validation = true
    }
  }

  documentation {
    content = each.value.advice

    links {
      display_name = "Dashboard"
      url          = local.dashboard
    }

    dynamic "links" {
      for_each = var.docs_url == null ? [] : ["${trimsuffix(var.docs_url, "/")}/${each.value.page}"]

      content {
        display_name = "What to do"
        url          = links.value
      }
    }
  }

  depends_on = [google_logging_metric.summary]
}

# A policy on lines of a log can only be where the log is.
resource "google_monitoring_alert_policy" "log" {
  for_each = { for key, alert in local.log_alerts : key => alert if alert.threshold != null }

  project               = var.project_id
  display_name          = "Mixpanel ingestion ${var.name}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = var.notification_channels
  severity              = each.value.severity
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
      period = "${60 * each.value.threshold}s"
    }
  }

  documentation {
    content = each.value.advice

    links {
      display_name = "Dashboard"
      url          = local.dashboard
    }

    dynamic "links" {
      for_each = var.docs_url == null ? [] : ["${trimsuffix(var.docs_url, "/")}/${each.value.page}"]

      content {
        display_name = "What to do"
        url          = links.value
      }
    }
  }

  depends_on = [time_sleep.apis]
}
