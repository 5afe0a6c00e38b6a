# What is made for sources, and in which order it can work.

mock_provider "google" {
  override_data {
    target = data.google_storage_transfer_project_service_account.agent
    values = { member = "serviceAccount:transfer-agent", email = "transfer-agent", subject_id = "112233445566778899001" }
  }

  override_resource {
    target = google_storage_transfer_job.new
    values = { name = "transferJobs/11" }
  }

  override_resource {
    target = google_storage_transfer_job.existing
    values = { name = "transferJobs/22" }
  }
}

mock_provider "time" {
  override_resource {
    target = time_offset.existing
    values = { year = 2027, month = 1, day = 2 }
  }
}

variables {
  project_id    = "test-project"
  name          = "mixpanel"
  import_bucket = "test-project-mixpanel-import"
  labels        = { app = "mixpanel-cloud-ingestion" }
  sources = {
    shop = {
      bucket    = "shop-events"
      role_arn  = "arn:aws:iam::123456789012:role/transfer"
      queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue"
    }
  }
}

run "a_source_has_one_job_that_listens_to_its_queue" {
  assert {
    condition = (
      keys(google_storage_transfer_job.new) == ["shop"]
      && length(google_storage_transfer_job.existing) == 0
      && google_storage_transfer_job.new["shop"].event_stream[0].name == "arn:aws:sqs:eu-west-1:123456789012:queue"
      && length(google_storage_transfer_job.new["shop"].schedule) == 0
      && google_storage_transfer_job.new["shop"].status == "ENABLED"
    )
    error_message = "There must be one job, which listens to the queue."
  }

  assert {
    condition = alltrue([for spec in google_storage_transfer_job.new["shop"].transfer_spec : (
      spec.aws_s3_data_source[0].bucket_name == "shop-events"
      && spec.aws_s3_data_source[0].role_arn == "arn:aws:iam::123456789012:role/transfer"
      && length(spec.aws_s3_data_source[0].aws_access_key) == 0
      && spec.gcs_data_sink[0].bucket_name == "test-project-mixpanel-import"
      && spec.gcs_data_sink[0].path == "s3/shop-events/"
      && length(spec.object_conditions) == 0
    )])
    error_message = "Objects must be copied by the role, below s3/BUCKET/."
  }

  assert {
    condition = (
      google_storage_transfer_job.new["shop"].transfer_spec[0].transfer_options[0].overwrite_when == "DIFFERENT"
      && google_storage_transfer_job.new["shop"].transfer_spec[0].transfer_options[0].delete_objects_from_source_after_transfer != true
    )
    error_message = "Equal content must not be copied again, and the source must stay as it is."
  }

  assert {
    condition = (
      google_storage_transfer_job.new["shop"].logging_config[0].log_action_states == tolist(["FAILED"])
      && google_storage_transfer_job.new["shop"].logging_config[0].log_actions == tolist(["FIND", "COPY"])
    )
    error_message = "Failures must be logged."
  }

  assert {
    condition     = { for role, binding in google_storage_bucket_iam_member.agent : role => "${binding.bucket} ${binding.member}" } == { for role in ["roles/storage.legacyBucketWriter", "roles/storage.objectViewer"] : role => "test-project-mixpanel-import serviceAccount:transfer-agent" }
    error_message = "The agent must have two roles on the one bucket."
  }

  assert {
    condition = (
      google_project_service.storage_transfer[0].service == "storagetransfer.googleapis.com"
      && google_project_service.storage_transfer[0].disable_on_destroy == false
    )
    error_message = "The API must be enabled, and stay so for others."
  }

  assert {
    condition = (
      output.transfer_agent.subject_id == "112233445566778899001"
      && output.destinations["shop"] == "gs://test-project-mixpanel-import/s3/shop-events/"
      && output.jobs["shop"] == tolist(["transferJobs/11"])
    )
    error_message = "Outputs are wrong."
  }
}

run "failed_transfers_raise_an_alert" {
  variables {
    notification_channels = ["projects/test-project/notificationChannels/1"]
  }

  assert {
    condition     = google_monitoring_alert_policy.transfer[0].conditions[0].condition_matched_log[0].filter == "resource.type=\"storage_transfer_job\" AND resource.labels.job_id=~\"^(transferJobs/)?(11)$\" AND logName=\"projects/test-project/logs/storagetransfer.googleapis.com%2Ftransfer_activity\" AND NOT jsonPayload.status.statusCode=\"OK\""
    error_message = "Failures of this deployment's jobs must match."
  }

  assert {
    condition = (
      google_monitoring_alert_policy.transfer[0].notification_channels == tolist(["projects/test-project/notificationChannels/1"])
      && google_monitoring_alert_policy.transfer[0].alert_strategy[0].notification_rate_limit[0].period == "3600s"
    )
    error_message = "The alert must go to the channels, limited in its rate."
  }
}

run "the_alert_can_be_left_out" {
  variables {
    alert = false
  }

  assert {
    condition     = length(google_monitoring_alert_policy.transfer) == 0
    error_message = "There must be no alert."
  }
}

run "the_agent_is_known_before_there_is_a_source" {
  variables {
    sources = {}
  }

  assert {
    condition     = output.transfer_agent.subject_id == "112233445566778899001" && length(google_storage_transfer_job.new) == 0 && length(google_monitoring_alert_policy.transfer) == 0
    error_message = "Without sources there must be the agent, and no job and no alert."
  }

  assert {
    condition     = length(google_storage_bucket_iam_member.agent) == 2
    error_message = "The agent's roles are given early, so that they have arrived when a job is made."
  }
}

run "existing_objects_are_copied_once_by_a_job_of_their_own" {
  variables {
    sources = {
      shop = {
        bucket        = "shop-events"
        role_arn      = "arn:aws:iam::123456789012:role/transfer"
        queue_arn     = "arn:aws:sqs:eu-west-1:123456789012:queue"
        prefixes      = ["events/", "more/"]
        copy_existing = true
      }
    }
  }

  assert {
    condition = (
      google_storage_transfer_job.existing["shop"].schedule[0].schedule_start_date[0] == google_storage_transfer_job.existing["shop"].schedule[0].schedule_end_date[0]
      && google_storage_transfer_job.existing["shop"].schedule[0].schedule_start_date[0].year == 2027
      && google_storage_transfer_job.existing["shop"].schedule[0].schedule_start_date[0].month == 1
      && google_storage_transfer_job.existing["shop"].schedule[0].schedule_start_date[0].day == 2
      && length(google_storage_transfer_job.existing["shop"].event_stream) == 0
      && time_offset.existing["shop"].offset_hours == 25
    )
    error_message = "It must run on one day, in the future."
  }

  assert {
    condition = alltrue([for block in ["aws_s3_data_source", "gcs_data_sink", "object_conditions", "transfer_options"] :
      jsonencode(google_storage_transfer_job.existing["shop"].transfer_spec[0][block]) == jsonencode(google_storage_transfer_job.new["shop"].transfer_spec[0][block])
    ])
    error_message = "Both jobs must copy the same way to the same place."
  }

  assert {
    condition     = google_storage_transfer_job.new["shop"].transfer_spec[0].object_conditions[0].include_prefixes == tolist(["events/", "more/"])
    error_message = "Only the prefixes must be copied."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.transfer[0].conditions[0].condition_matched_log[0].filter, "(11|22)")
    error_message = "Failures of both jobs must match."
  }
}

run "a_source_that_is_off_has_jobs_that_are_off" {
  variables {
    sources = {
      shop = {
        bucket    = "shop-events"
        role_arn  = "arn:aws-us-gov:iam::123456789012:role/path/transfer"
        queue_arn = "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:queue"
        enabled   = false
      }
    }
  }

  assert {
    condition     = google_storage_transfer_job.new["shop"].status == "DISABLED"
    error_message = "The job must be disabled."
  }
}

run "filters_that_let_all_copies_through_are_accepted" {
  variables {
    object_filters = { prefix = "s3/", include = ["*.ndjson", "s3/**"], exclude = ["*.crc", "**/_temporary/**", "uploads/**", "*.tm?"] }
  }

  assert {
    condition     = length(google_storage_transfer_job.new) == 1
    error_message = "These filters must be accepted."
  }
}

run "what_somebody_else_manages_is_left_alone" {
  variables {
    enable_api = false
    manage_iam = false
  }

  assert {
    condition     = length(google_project_service.storage_transfer) == 0 && length(google_storage_bucket_iam_member.agent) == 0 && length(google_storage_transfer_job.new) == 1
    error_message = "The job alone must be made."
  }
}
