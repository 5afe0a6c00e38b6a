# Topics, subscriptions, the notification and Scheduler: retention, deadlines, and who calls what.

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

run "what_arrives_is_kept_and_delivered" {
  assert {
    condition = alltrue([
      for subscription in [google_pubsub_subscription.object, google_pubsub_subscription.event] :
      subscription.message_retention_duration == "2678400s" && subscription.expiration_policy[0].ttl == ""
    ])
    error_message = "Both subscriptions must keep messages for 31 days and never expire."
  }

  assert {
    condition = alltrue([
      for subscription in [google_pubsub_subscription.object, google_pubsub_subscription.event] :
      subscription.ack_deadline_seconds == 600
      && subscription.retry_policy[0].minimum_backoff == "10s"
      && length(subscription.dead_letter_policy) == 0
    ])
    error_message = "Both subscriptions must wait 600 s for an ack, back off from 10 s and have no dead-letter policy."
  }

  assert {
    condition = (
      google_pubsub_subscription.object.retry_policy[0].maximum_backoff == "30s"
      && google_pubsub_subscription.event.retry_policy[0].maximum_backoff == "600s"
    )
    error_message = "The object subscription must back off to 30 s, the event subscription to 600 s."
  }

  assert {
    condition     = google_pubsub_subscription.object.push_config[0].push_endpoint == "https://import.run.app/projects/test-project/topics/mixpanel-objects"
    error_message = "The push endpoint must be the function's address and the topic's path."
  }

  assert {
    condition     = google_pubsub_subscription.object.push_config[0].oidc_token[0].audience == "https://import.run.app"
    error_message = "The audience must be the function's address without the path."
  }

  assert {
    condition     = google_pubsub_subscription.object.push_config[0].oidc_token[0].service_account_email == "push"
    error_message = "Pushes must carry the token of the push account."
  }

  assert {
    condition     = google_pubsub_subscription.object.topic == "projects/test-project/topics/mixpanel-objects"
    error_message = "The push subscription must be one of the object topic."
  }

  assert {
    condition     = length(google_pubsub_subscription.event.push_config) == 0
    error_message = "The event subscription must have no push endpoint."
  }

  assert {
    condition     = google_pubsub_subscription.event.topic == "projects/test-project/topics/mixpanel-events"
    error_message = "The event subscription must be one of the event topic."
  }

  assert {
    condition = (
      google_storage_notification.object.bucket == "test-project-mixpanel-import"
      && google_storage_notification.object.topic == "projects/test-project/topics/mixpanel-objects"
      && google_storage_notification.object.payload_format == "JSON_API_V1"
      && google_storage_notification.object.event_types == toset(["OBJECT_FINALIZE"])
      && google_storage_notification.object.object_name_prefix == null
    )
    error_message = "The import bucket must notify the object topic of finalized objects, of all of them unless told otherwise."
  }

  assert {
    condition     = keys(google_cloud_scheduler_job.drain) == ["1"]
    error_message = "There must be one job."
  }

  assert {
    condition = (
      google_cloud_scheduler_job.drain["1"].schedule == "* * * * *"
      && google_cloud_scheduler_job.drain["1"].attempt_deadline == "600s"
      && google_cloud_scheduler_job.drain["1"].http_target[0].http_method == "POST"
      && google_cloud_scheduler_job.drain["1"].http_target[0].uri == "https://drain.run.app"
      && google_cloud_scheduler_job.drain["1"].http_target[0].oidc_token[0].audience == "https://drain.run.app"
      && google_cloud_scheduler_job.drain["1"].http_target[0].oidc_token[0].service_account_email == "scheduler"
    )
    error_message = "The job must call the drain every minute, with the token of its account, and wait 600 s."
  }
}

run "messages_are_stored_in_the_region" {
  state_key = "messages_are_stored_in_the_region"

  variables {
    region = "europe-west1"
  }

  assert {
    condition = alltrue([
      for topic in [google_pubsub_topic.object, google_pubsub_topic.event[0]] :
      tolist(topic.message_storage_policy[0].allowed_persistence_regions) == tolist(["europe-west1"])
    ])
    error_message = "Both topics must store messages in the region alone."
  }
}

run "a_prefix_narrows_the_notification_and_the_function" {
  variables {
    object_prefix = "events/"
  }

  assert {
    condition     = google_storage_notification.object.object_name_prefix == "events/"
    error_message = "The notification must have the prefix."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["import"].service_config[0].environment_variables["OBJECT_PREFIX"] == "events/"
    error_message = "importObject must have the prefix."
  }

  assert {
    condition     = endswith(output.upload_command, "gs://test-project-mixpanel-import/events/")
    error_message = "The upload command must upload to the prefix."
  }
}

run "all_objects_notify_and_the_function_decides_by_its_defaults" {
  assert {
    condition     = google_storage_notification.object.object_name_prefix == null
    error_message = "The notification must have no prefix."
  }

  assert {
    condition     = length(setintersection(keys(google_cloudfunctions2_function.this["import"].service_config[0].environment_variables), ["OBJECT_PREFIX", "OBJECT_INCLUDE", "OBJECT_EXCLUDE"])) == 0
    error_message = "importObject must have its defaults."
  }
}

run "globs_go_to_the_function_and_the_notification_keeps_nothing_from_it" {
  variables {
    object_prefix  = "in/"
    object_include = ["in/**", "*.ndjson"]
    object_exclude = ["**/tmp/**", "*.crc"]
  }

  assert {
    condition     = google_storage_notification.object.object_name_prefix == null
    error_message = "The notification must have no prefix."
  }

  assert {
    condition = [
      for name in ["OBJECT_PREFIX", "OBJECT_INCLUDE", "OBJECT_EXCLUDE"] :
      google_cloudfunctions2_function.this["import"].service_config[0].environment_variables[name]
    ] == ["in/", "in/**,*.ndjson", "**/tmp/**,*.crc"]
    error_message = "importObject must have the prefix and both lists."
  }
}

run "parallel_drains_are_so_many_jobs_and_instances" {
  variables {
    drain_parallelism = 3
  }

  assert {
    condition     = [for job in google_cloud_scheduler_job.drain : job.name] == ["mixpanel-drain-1", "mixpanel-drain-2", "mixpanel-drain-3"]
    error_message = "There must be three jobs."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["drain"].service_config[0].max_instance_count == 3
    error_message = "There must be an instance for each job."
  }
}

run "an_existing_topic_is_drained" {
  state_key = "an_existing_topic_is_drained"

  variables {
    event_topic = "projects/other-project/topics/events"
  }

  assert {
    condition     = length(google_pubsub_topic.event) == 0 && google_pubsub_subscription.event.topic == "projects/other-project/topics/events"
    error_message = "The subscription must be one of the topic given, and no topic made."
  }

  assert {
    condition     = strcontains(output.publish_command, "publish projects/other-project/topics/events --message=")
    error_message = "The publish command must name the topic given."
  }
}

run "an_existing_bucket_is_imported" {
  state_key = "an_existing_bucket_is_imported"

  variables {
    import_bucket = { name = "other-bucket", project_id = "other-project" }
  }

  assert {
    condition     = length(google_storage_bucket.import) == 0 && google_storage_notification.object.bucket == "other-bucket"
    error_message = "The bucket given must notify, and no bucket be made."
  }

  assert {
    condition     = google_storage_bucket_iam_member.import[0].bucket == "other-bucket"
    error_message = "importObject must read the bucket given."
  }

  assert {
    condition     = data.google_storage_project_service_account.import.project == "other-project"
    error_message = "The storage agent that publishes is that of the bucket's project."
  }
}

run "paused_nothing_runs_and_all_is_kept" {
  variables {
    drain_parallelism = 2
    paused            = true
  }

  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.drain : job.paused]) && length(google_pubsub_subscription.object.push_config) == 0
    error_message = "No job must run and nothing be pushed."
  }

  assert {
    condition     = google_pubsub_subscription.object.message_retention_duration == "2678400s" && google_pubsub_subscription.object.expiration_policy[0].ttl == ""
    error_message = "What arrives must be kept as long as ever."
  }

  assert {
    condition     = output.paused && startswith(output.next_steps, "PAUSED: ")
    error_message = "The outputs must say so."
  }

  assert {
    condition = output.pause_commands == join("\n", [
      "gcloud scheduler jobs pause mixpanel-drain-1 --location=us-central1 --project=test-project",
      "gcloud scheduler jobs pause mixpanel-drain-2 --location=us-central1 --project=test-project",
      "gcloud pubsub subscriptions modify-push-config projects/test-project/subscriptions/mixpanel-objects --push-endpoint=",
    ])
    error_message = "The commands must stop each job and the push."
  }
}

run "unless_paused_it_runs" {
  assert {
    condition     = !google_cloud_scheduler_job.drain["1"].paused && !output.paused && startswith(output.next_steps, "Upload a file: ")
    error_message = "Nothing is paused by default."
  }
}

run "topics_and_subscriptions_are_protected_unless_told_otherwise" {
  assert {
    condition = alltrue([
      for policy in [google_pubsub_subscription.event, google_pubsub_subscription.object, google_pubsub_topic.event[0], google_pubsub_topic.object] :
      policy.deletion_policy == "PREVENT"
    ])
    error_message = "What holds messages must refuse to be destroyed."
  }
}

run "protection_can_be_lifted" {
  variables {
    deletion_protection = false
  }

  assert {
    condition = alltrue([
      for policy in [google_pubsub_subscription.event, google_pubsub_subscription.object, google_pubsub_topic.event[0], google_pubsub_topic.object] :
      policy.deletion_policy == "DELETE"
    ])
    error_message = "What is to be destroyed must let itself be destroyed."
  }
}

run "what_lawyers_ask_of_topics_and_subscriptions" {
  state_key = "what_lawyers_ask_of_topics_and_subscriptions"

  variables {
    enforce_in_transit   = true
    event_filter         = "attributes.source = \"web\""
    topic_retention_days = 7
  }

  assert {
    condition = alltrue([
      for topic in [google_pubsub_topic.object, google_pubsub_topic.event[0]] :
      topic.message_storage_policy[0].enforce_in_transit && topic.message_retention_duration == "604800s"
    ])
    error_message = "Topics must enforce the region in transit too, and keep messages for the days given."
  }

  assert {
    condition     = google_pubsub_subscription.event.filter == "attributes.source = \"web\""
    error_message = "The subscription must have the filter."
  }
}
