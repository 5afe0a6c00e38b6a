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
      && metric.filter == "resource.type=\"cloud_run_revision\" AND resource.labels.project_id=\"test-project\" AND resource.labels.service_name=(\"mixpanel-import-object\" OR \"mixpanel-drain-subscription\") AND jsonPayload.durationMs:* AND jsonPayload.${field}>0"
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
    condition     = keys(google_monitoring_alert_policy.metric) == ["backlog_events", "backlog_objects", "dead_letters", "retention_events", "retention_objects"]
    error_message = "There must be an alert on a metric for each of these; none on silence unless asked for."
  }

  assert {
    condition     = google_monitoring_alert_policy.metric["backlog_events"].conditions[0].condition_prometheus_query_language[0].query == "max({\"__name__\"=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\",\"project_id\"=\"test-project\",\"subscription_id\"=\"mixpanel-events\"}) > 1800 and ((sum(avg_over_time({\"__name__\"=\"pubsub.googleapis.com/subscription/num_undelivered_messages\",\"project_id\"=\"test-project\",\"subscription_id\"=\"mixpanel-events\"}[10m])) > 1.1 * sum(avg_over_time({\"__name__\"=\"pubsub.googleapis.com/subscription/num_undelivered_messages\",\"project_id\"=\"test-project\",\"subscription_id\"=\"mixpanel-events\"}[10m] offset 30m))) or ((sum(increase({\"__name__\"=\"pubsub.googleapis.com/subscription/ack_message_count\",\"project_id\"=\"test-project\",\"subscription_id\"=\"mixpanel-events\"}[30m])) or vector(0)) < 1))"
    error_message = "Above 30 minutes the alert must be raised, if more wait than before or nothing is acknowledged: not by a backfill."
  }

  assert {
    condition     = endswith(google_monitoring_alert_policy.metric["retention_objects"].conditions[0].condition_prometheus_query_language[0].query, "\"subscription_id\"=\"mixpanel-objects\"}) > ${24 * 86400}")
    error_message = "A week before messages are dropped the alert must be raised."
  }

  assert {
    condition = alltrue([
      for policy in concat(values(google_monitoring_alert_policy.metric), values(google_monitoring_alert_policy.log)) :
      policy.notification_channels == tolist(["projects/test-project/notificationChannels/1"]) && contains(["CRITICAL", "ERROR", "WARNING"], policy.severity)
      && { for link in policy.documentation[0].links : link.display_name => link.url }["Dashboard"] == output.dashboard && length(policy.documentation[0].links) == 1
    ])
    error_message = "Each alert must go to the channels, with its severity and a link to the dashboard."
  }

  assert {
    condition     = keys(google_monitoring_alert_policy.log) == ["crashes", "credentials", "errors"]
    error_message = "There must be an alert for each."
  }

  assert {
    condition = alltrue([
      for policy in google_monitoring_alert_policy.log :
      startswith(policy.conditions[0].condition_matched_log[0].filter, "resource.type=\"cloud_run_revision\" AND resource.labels.project_id=\"test-project\" AND resource.labels.service_name=(\"mixpanel-import-object\" OR \"mixpanel-drain-subscription\") AND ")
      && policy.alert_strategy[0].notification_rate_limit[0].period == "3600s"
      && policy.notification_channels == tolist(["projects/test-project/notificationChannels/1"])
    ])
    error_message = "Alerts on log lines must be of these functions, limited in their rate, and go to the channels."
  }

  assert {
    condition = (
      endswith(google_monitoring_alert_policy.log["credentials"].conditions[0].condition_matched_log[0].filter, "severity>=ERROR AND jsonPayload.code=\"credentials_refused\"")
      && endswith(google_monitoring_alert_policy.log["crashes"].conditions[0].condition_matched_log[0].filter, "logName=\"projects/test-project/logs/run.googleapis.com%2Fvarlog%2Fsystem\" AND (severity>=ERROR OR textPayload=~\"Container called exit\\([1-9]\")")
      && google_monitoring_alert_policy.log["errors"].conditions[0].condition_matched_log[0].label_extractors == tomap({ code = "EXTRACT(jsonPayload.code)" })
    )
    error_message = "Each alert must match its lines, and errors be told apart by their code."
  }

  assert {
    condition     = endswith(google_monitoring_alert_policy.log["errors"].conditions[0].condition_matched_log[0].filter, "severity>=ERROR AND jsonPayload.code:* AND jsonPayload.code!=\"credentials_refused\"")
    error_message = "Every code of an ERROR must raise an alert, also one that is added later."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.metric["dead_letters"].documentation[0].content, "gs://test-project-mixpanel-dead-letters`")
    error_message = "The alert must say where dead letters are."
  }
}

run "thresholds_are_chosen_and_alerts_switched_off_one_by_one" {
  variables {
    alerts   = { backlog_minutes = 120, credentials_minutes = 15, dead_letters_percent = null, error_minutes = null, silence_hours = 6 }
    docs_url = "https://example.com/docs/"
  }

  assert {
    condition = (
      keys(google_monitoring_alert_policy.metric) == ["backlog_events", "backlog_objects", "retention_events", "retention_objects", "silence"]
      && keys(google_monitoring_alert_policy.log) == ["crashes", "credentials"]
    )
    error_message = "Null must switch off its alert, and no other."
  }

  assert {
    condition = (
      strcontains(google_monitoring_alert_policy.metric["backlog_events"].conditions[0].condition_prometheus_query_language[0].query, "> 7200 and")
      && google_monitoring_alert_policy.log["credentials"].alert_strategy[0].notification_rate_limit[0].period == "900s"
      && google_monitoring_alert_policy.metric["silence"].conditions[0].condition_prometheus_query_language[0].query == "(sum(increase({\"__name__\"=\"logging.googleapis.com/user/mixpanel/imported_sum\",\"monitored_resource\"=\"cloud_run_revision\",\"project_id\"=\"test-project\"}[6h])) or vector(0)) < 1"
    )
    error_message = "The thresholds must be those given."
  }

  assert {
    condition     = google_monitoring_alert_policy.log["crashes"].documentation[0].links[1].url == "https://example.com/docs/operate.md#a-function-crashes"
    error_message = "The alert must link to what to do."
  }
}

run "a_metrics_scope_gets_the_dashboard_and_alerts_on_metrics" {
  variables {
    monitoring_project_id = "scope-project"
  }

  assert {
    condition = (
      google_monitoring_dashboard.this.project == "scope-project" && endswith(output.dashboard, "?project=scope-project")
      && alltrue([for policy in google_monitoring_alert_policy.metric : policy.project == "scope-project"])
      && alltrue([for policy in google_monitoring_alert_policy.log : policy.project == "test-project"])
      && alltrue([for metric in google_logging_metric.summary : metric.project == "test-project"])
    )
    error_message = "What reads metrics must be in the scope, and what reads log lines where they are."
  }
}

run "all_alerts_can_be_left_out" {
  variables {
    alerts = null
  }

  assert {
    condition     = length(google_monitoring_alert_policy.metric) == 0 && length(google_monitoring_alert_policy.log) == 0
    error_message = "There must be no alert."
  }
}
