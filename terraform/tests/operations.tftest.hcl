# Metrics, dashboard and alerts.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "archive" {
  source = "./tests/mocks"
}

mock_provider "time" {}

variables {
  project_id          = "test-project"
  region              = "us-central1"
  mixpanel_project_id = "1"
  mixpanel_secret     = "secret"
}

run "metrics_dashboard_and_outputs" {
  assert {
    condition = alltrue([
      for field, metric in google_logging_metric.summary :
      metric.name == "mixpanel/${field}" && metric.value_extractor == "EXTRACT(jsonPayload.${field})"
      && metric.filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"mixpanel-import-object\" OR \"mixpanel-drain-subscription\") AND jsonPayload.durationMs:* AND jsonPayload.${field}>0"
      && metric.metric_descriptor[0].value_type == "DISTRIBUTION"
    ])
    error_message = "Each metric must sum one field of both functions' lines."
  }

  assert {
    condition     = length(setsubtract(["read", "imported", "rejected", "dropped", "attempts", "throttled", "bytes"], keys(google_logging_metric.summary))) == 0
    error_message = "What the dashboard shows must be counted."
  }

  assert {
    condition     = !can(regex(":(0|false|\"\"|\\[\\]|\\{\\}|null)[,}\\]]", google_monitoring_dashboard.this.dashboard_json))
    error_message = "Zeros, false and empty values are dropped from a dashboard, and each plan would show a change."
  }

  assert {
    condition     = length(jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles) == 8
    error_message = "There must be eight charts."
  }

  assert {
    condition = alltrue([
      for subscription in ["mixpanel-objects", "mixpanel-events"] : alltrue([
        for metric in ["num_undelivered_messages", "oldest_unacked_message_age"] :
        can(regex("subscription/${metric}[^}]*${subscription}", google_monitoring_dashboard.this.dashboard_json))
      ])
    ])
    error_message = "Backlog and oldest age of both subscriptions must be shown."
  }

  assert {
    condition = !anytrue([
      for policy in google_monitoring_alert_policy.log :
      can(regex("httpRequest|status", policy.conditions[0].condition_matched_log[0].filter))
    ])
    error_message = "Answers 5xx are normal: they refuse what is to come again."
  }

  assert {
    condition     = output.upload_command == "gcloud storage cp FILE gs://test-project-mixpanel-import/"
    error_message = "The upload command is wrong."
  }

  assert {
    condition     = output.publish_command == "gcloud pubsub topics publish projects/test-project/topics/mixpanel-events --message='{\"event\":\"Hello\",\"properties\":{\"distinct_id\":\"me\",\"time\":'$(date +%s)'}}'"
    error_message = "The publish command is wrong."
  }

  assert {
    condition = alltrue([
      for command in [
        output.upload_command,
        output.publish_command,
        output.dashboard,
        "npm run status -- --state gs://test-project-mixpanel-state --dead-letters gs://test-project-mixpanel-dead-letters gs://test-project-mixpanel-import/OBJECT\n",
        "npm run dead-letters -- gs://test-project-mixpanel-dead-letters\n",
        "npm run backfill -- --state gs://test-project-mixpanel-state --dead-letters gs://test-project-mixpanel-dead-letters --topic projects/test-project/topics/mixpanel-objects gs://test-project-mixpanel-import/\n",
      ] : strcontains(output.next_steps, command)
    ])
    error_message = "The next steps must have all commands."
  }

  assert {
    condition     = output.dashboard == "https://console.cloud.google.com/monitoring/dashboards/builder/dashboard-id?project=test-project"
    error_message = "The dashboard's address is wrong."
  }
}

run "alerts_go_to_the_channels" {
  variables {
    notification_channels = ["projects/test-project/notificationChannels/1"]
  }

  assert {
    condition = { for key, policy in google_monitoring_alert_policy.backlog : key => policy.conditions[0].condition_threshold[0].filter } == {
      for key, name in { events = "mixpanel-events", objects = "mixpanel-objects" } :
      key => "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${name}\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
    }
    error_message = "The oldest message of each subscription must be watched."
  }

  assert {
    condition = alltrue([
      for policy in google_monitoring_alert_policy.backlog :
      policy.conditions[0].condition_threshold[0].threshold_value == 1800
      && policy.conditions[0].condition_threshold[0].comparison == "COMPARISON_GT"
      && policy.notification_channels == tolist(["projects/test-project/notificationChannels/1"])
    ])
    error_message = "Above 30 minutes the alert must go to the channels."
  }


  assert {
    condition     = keys(google_monitoring_alert_policy.log) == ["credentials", "dead_letters", "errors"]
    error_message = "There must be an alert for each."
  }

  assert {
    condition = alltrue([
      for policy in google_monitoring_alert_policy.log :
      startswith(policy.conditions[0].condition_matched_log[0].filter, "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"mixpanel-import-object\" OR \"mixpanel-drain-subscription\") AND ")
      && policy.alert_strategy[0].notification_rate_limit[0].period == "3600s"
      && policy.notification_channels == tolist(["projects/test-project/notificationChannels/1"])
    ])
    error_message = "Alerts on log lines must be of these functions, limited in their rate, and go to the channels."
  }

  assert {
    condition = (
      endswith(google_monitoring_alert_policy.log["credentials"].conditions[0].condition_matched_log[0].filter, "severity>=ERROR AND jsonPayload.code=\"credentials_refused\"")
      && endswith(google_monitoring_alert_policy.log["dead_letters"].conditions[0].condition_matched_log[0].filter, "jsonPayload.rejected>0")
      && google_monitoring_alert_policy.log["errors"].conditions[0].condition_matched_log[0].label_extractors == tomap({ code = "EXTRACT(jsonPayload.code)" })
    )
    error_message = "Each alert must match its lines, and errors be told apart by their code."
  }

  assert {
    condition     = endswith(google_monitoring_alert_policy.log["errors"].conditions[0].condition_matched_log[0].filter, "severity>=ERROR AND jsonPayload.code:* AND jsonPayload.code!=\"credentials_refused\"")
    error_message = "Every code of an ERROR must raise an alert, also one that is added later."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.log["dead_letters"].documentation[0].content, "gs://test-project-mixpanel-dead-letters`")
    error_message = "The alert must say where dead letters are."
  }
}

run "the_age_can_be_chosen" {
  variables {
    max_backlog_minutes = 120
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.backlog : policy.conditions[0].condition_threshold[0].threshold_value == 7200])
    error_message = "The threshold must be the one given."
  }
}

run "alerts_can_be_left_out" {
  variables {
    alerts = false
  }

  assert {
    condition     = length(google_monitoring_alert_policy.backlog) == 0 && length(google_monitoring_alert_policy.log) == 0
    error_message = "There must be no alert."
  }
}
