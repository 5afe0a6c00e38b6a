# Who may do what: each binding, and that there is no other; and what the buckets guard.

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

run "accounts_bindings_buckets_and_apis" {
  assert {
    condition = [for account in google_service_account.this : account.account_id] == [
      "mixpanel-build", "mixpanel-drain", "mixpanel-import", "mixpanel-push", "mixpanel-scheduler",
    ]
    error_message = "There must be one account each for the two runtimes, push, Scheduler and builds."
  }

  assert {
    condition = { for key, member in google_secret_manager_secret_iam_member.function : key => [member.project, member.secret_id, member.role, member.member] } == {
      drain  = ["test-project", "mixpanel-credentials", "roles/secretmanager.secretAccessor", "serviceAccount:drain"]
      import = ["test-project", "mixpanel-credentials", "roles/secretmanager.secretAccessor", "serviceAccount:import"]
    }
    error_message = "Both runtimes must read the one secret."
  }

  assert {
    condition = { for key, member in google_storage_bucket_iam_member.state : key => [member.bucket, member.role, member.member] } == {
      drain  = ["test-project-mixpanel-state", "roles/storage.objectUser", "serviceAccount:drain"]
      import = ["test-project-mixpanel-state", "roles/storage.objectUser", "serviceAccount:import"]
    }
    error_message = "Both runtimes must use the objects of the state bucket."
  }

  assert {
    condition = { for key, member in google_storage_bucket_iam_member.state : key => join(" ", member.condition[*].expression) } == {
      drain  = "resource.name.startsWith(\"projects/_/buckets/test-project-mixpanel-state/objects/suspects/\")"
      import = ""
    }
    error_message = "drainSubscription must use those in suspects/ alone."
  }

  assert {
    condition = [google_storage_bucket_iam_member.state_list.bucket, google_storage_bucket_iam_member.state_list.role, google_storage_bucket_iam_member.state_list.member, length(google_storage_bucket_iam_member.state_list.condition)] == [
      "test-project-mixpanel-state", "roles/storage.legacyBucketReader", "serviceAccount:drain", 0,
    ]
    error_message = "drainSubscription must be told that an object is not there, and not that it may not look."
  }

  assert {
    condition = { for key, member in google_storage_bucket_iam_member.dead_letters : key => [member.bucket, member.role, member.member] } == {
      drain  = ["test-project-mixpanel-dead-letters", "roles/storage.objectCreator", "serviceAccount:drain"]
      import = ["test-project-mixpanel-dead-letters", "roles/storage.objectCreator", "serviceAccount:import"]
    }
    error_message = "Both runtimes must create dead letters, and not read them."
  }

  assert {
    condition = [google_storage_bucket_iam_member.import[0].bucket, google_storage_bucket_iam_member.import[0].role, google_storage_bucket_iam_member.import[0].member] == [
      "test-project-mixpanel-import", "roles/storage.objectViewer", "serviceAccount:import",
    ]
    error_message = "importObject must view the objects of the import bucket."
  }

  assert {
    condition = [google_pubsub_topic_iam_member.continuation.topic, google_pubsub_topic_iam_member.continuation.role, google_pubsub_topic_iam_member.continuation.member] == [
      "mixpanel-objects", "roles/pubsub.publisher", "serviceAccount:import",
    ]
    error_message = "importObject must publish to the object topic."
  }

  assert {
    condition = [google_pubsub_subscription_iam_member.drain.subscription, google_pubsub_subscription_iam_member.drain.role, google_pubsub_subscription_iam_member.drain.member] == [
      "mixpanel-events", "roles/pubsub.subscriber", "serviceAccount:drain",
    ]
    error_message = "drainSubscription must consume its subscription."
  }

  assert {
    condition = [google_pubsub_topic_iam_member.storage_agent.topic, google_pubsub_topic_iam_member.storage_agent.role, google_pubsub_topic_iam_member.storage_agent.member] == [
      "mixpanel-objects", "roles/pubsub.publisher", "serviceAccount:storage-agent",
    ]
    error_message = "The storage agent must publish to the object topic."
  }

  assert {
    condition = [google_cloud_run_service_iam_member.push.service, google_cloud_run_service_iam_member.push.role, google_cloud_run_service_iam_member.push.member] == [
      "projects/test-project/locations/us-central1/services/mixpanel-import-object", "roles/run.invoker", "serviceAccount:push",
    ]
    error_message = "The push account must invoke importObject."
  }

  assert {
    condition = [google_cloud_run_service_iam_member.scheduler.service, google_cloud_run_service_iam_member.scheduler.role, google_cloud_run_service_iam_member.scheduler.member] == [
      "projects/test-project/locations/us-central1/services/mixpanel-drain-subscription", "roles/run.invoker", "serviceAccount:scheduler",
    ]
    error_message = "Scheduler's account must invoke drainSubscription."
  }

  assert {
    condition = { for role, member in google_project_iam_member.build : role => [member.project, member.member] } == {
      "roles/logging.logWriter"    = ["test-project", "serviceAccount:build"]
      "roles/storage.objectViewer" = ["test-project", "serviceAccount:build"]
    }
    error_message = "The build account must have these two roles on the project."
  }

  assert {
    condition = { for role, member in google_project_iam_member.build : role => join(" ", member.condition[*].expression) } == {
      "roles/logging.logWriter"    = ""
      "roles/storage.objectViewer" = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-123456789012-us-central1\")"
    }
    error_message = "Of the project's buckets, builds must read the one alone that Cloud Build takes sources from."
  }

  assert {
    condition = [google_artifact_registry_repository_iam_member.build.repository, google_artifact_registry_repository_iam_member.build.role, google_artifact_registry_repository_iam_member.build.member] == [
      "mixpanel-functions", "roles/artifactregistry.writer", "serviceAccount:build",
    ]
    error_message = "The build account must write to our repository."
  }

  assert {
    condition = alltrue([
      for bucket in [google_storage_bucket.import[0], google_storage_bucket.state, google_storage_bucket.dead_letters, google_storage_bucket.source] :
      bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced" && !coalesce(bucket.force_destroy, false)
      && bucket.location == "us-central1" && bucket.project == "test-project"
    ])
    error_message = "All buckets must be in the region, have uniform access, prevent public access and not be destroyed with data."
  }

  assert {
    condition     = length(google_storage_bucket.state.lifecycle_rule) == 0 && length(google_storage_bucket.dead_letters.lifecycle_rule) == 0
    error_message = "Neither checkpoints nor dead letters must expire."
  }

  assert {
    condition     = alltrue([for bucket in [google_storage_bucket.state, google_storage_bucket.dead_letters] : bucket.soft_delete_policy[0].retention_duration_seconds == 604800])
    error_message = "What was deleted by mistake must be restorable for a week."
  }

  assert {
    condition = toset([for service in google_project_service.api : trimsuffix(service.service, ".googleapis.com")]) == toset([
      "artifactregistry", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "iam", "logging",
      "monitoring", "pubsub", "run", "secretmanager", "storage",
    ])
    error_message = "Every API that is used must be enabled."
  }

  assert {
    condition     = alltrue([for service in google_project_service.api : service.project == "test-project" && !service.disable_on_destroy])
    error_message = "A destroy must leave APIs enabled: others may use them."
  }

  assert {
    condition     = time_sleep.apis.create_duration == "60s" && time_sleep.bindings.create_duration == "60s"
    error_message = "What was just enabled or bound must be waited for."
  }

  assert {
    condition     = time_sleep.bindings.triggers["dead_letters"] == "test-project-mixpanel-dead-letters"
    error_message = "An upgrade that adds the bucket must wait for its bindings, too."
  }
}

run "dead_letters_are_deleted_when_told_so_and_checkpoints_never" {
  variables {
    dead_letter_retention_days = 90
  }

  assert {
    condition     = length(google_storage_bucket.state.lifecycle_rule) == 0 && google_storage_bucket.state.soft_delete_policy[0].retention_duration_seconds == 604800
    error_message = "Of the state bucket nothing must be deleted, and what was must be restorable."
  }

  assert {
    condition = (
      length(google_storage_bucket.dead_letters.lifecycle_rule) == 1
      && one(google_storage_bucket.dead_letters.lifecycle_rule[0].action).type == "Delete"
      && one(google_storage_bucket.dead_letters.lifecycle_rule[0].condition).age == 90
      && one(google_storage_bucket.dead_letters.lifecycle_rule[0].condition).matches_prefix == null
    )
    error_message = "All of the bucket of dead letters must be deleted, after 90 days."
  }

  assert {
    condition     = google_storage_bucket.dead_letters.soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "What is deleted then must be gone."
  }
}

run "existing_accounts_are_used_as_they_are" {
  variables {
    service_accounts = { import = "importer@other-project.iam.gserviceaccount.com", build = "builder@other-project.iam.gserviceaccount.com" }
  }

  assert {
    condition     = keys(google_service_account.this) == ["drain", "push", "scheduler"]
    error_message = "Accounts that are there must not be made."
  }

  assert {
    condition = (
      google_cloudfunctions2_function.this["import"].service_config[0].service_account_email == "importer@other-project.iam.gserviceaccount.com"
      && google_cloudfunctions2_function.this["import"].build_config[0].service_account == "projects/other-project/serviceAccounts/builder@other-project.iam.gserviceaccount.com"
      && google_storage_bucket_iam_member.import[0].member == "serviceAccount:importer@other-project.iam.gserviceaccount.com"
      && google_project_iam_member.build["roles/storage.objectViewer"].member == "serviceAccount:builder@other-project.iam.gserviceaccount.com"
      && output.service_accounts["import"] == "importer@other-project.iam.gserviceaccount.com"
    )
    error_message = "Functions and builds must run as the accounts given, and these be let in."
  }
}

run "foreign_resources_keep_their_bindings" {
  state_key = "foreign_resources_keep_their_bindings"

  variables {
    hash_key_secret   = "projects/other-project/secrets/hash-key/versions/1"
    import_bucket     = { name = "other-bucket", project_id = "other-project" }
    manage_iam        = false
    transform_secrets = { API_KEY = "projects/other-project/secrets/api-key/versions/2" }
  }

  assert {
    condition     = length(google_storage_bucket_iam_member.import) == 0 && length(google_secret_manager_secret_iam_member.given) == 0
    error_message = "No binding must be made on what is not ours."
  }

  assert {
    condition     = length(google_secret_manager_secret_iam_member.function) == 2
    error_message = "The secret of ours must have its bindings all the same."
  }
}

run "no_api_is_enabled_where_somebody_else_does" {
  variables {
    enable_apis = false
  }

  assert {
    condition     = length(google_project_service.api) == 0
    error_message = "No API must be enabled."
  }
}

run "a_key_of_ones_own_encrypts_all_that_takes_one" {
  state_key = "a_key_of_ones_own_encrypts_all_that_takes_one"

  variables {
    kms_key = "projects/key-project/locations/us-central1/keyRings/r/cryptoKeys/k"
  }

  assert {
    condition = alltrue([
      for key in concat(
        [for bucket in [google_storage_bucket.import[0], google_storage_bucket.state, google_storage_bucket.dead_letters, google_storage_bucket.source] : bucket.encryption[0].default_kms_key_name],
        [for topic in [google_pubsub_topic.object, google_pubsub_topic.event[0]] : topic.kms_key_name],
        [for function in google_cloudfunctions2_function.this : function.kms_key_name],
        [google_artifact_registry_repository.functions.kms_key_name],
        [google_secret_manager_secret.mixpanel[0].replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name],
      ) : key == "projects/key-project/locations/us-central1/keyRings/r/cryptoKeys/k"
    ])
    error_message = "Buckets, topics, functions, images and the secret must have the key."
  }
}
