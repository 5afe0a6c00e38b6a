# Both functions: what they are built from, how they run, what they are told.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "archive" {
  source = "./tests/mocks"
}

mock_provider "time" {}

variables {
  project_id                        = "test-project"
  region                            = "us-central1"
  mixpanel_project_id               = "1"
  mixpanel_service_account_username = "user"
  mixpanel_secret                   = "secret"
}

run "both_functions_are_built_and_run_as_designed" {
  assert {
    condition     = google_storage_bucket_object.source.name == "source-0123456789abcdef.zip"
    error_message = "The hash of the archive must stand in the source's name."
  }

  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.this :
      function.build_config[0].source[0].storage_source[0].bucket == "test-project-mixpanel-source"
      && function.build_config[0].source[0].storage_source[0].object == "source-0123456789abcdef.zip"
    ])
    error_message = "Both functions must be built from that source."
  }

  assert {
    condition = alltrue([
      for file in data.archive_file.source.source :
      contains(["package.json", "package-lock.json", "tsconfig.json"], file.filename) || can(regex("^functions/.*\\.m?ts$", file.filename))
    ])
    error_message = "The archive must hold the package's files and the sources of the functions alone."
  }

  assert {
    condition     = length(setsubtract(["package.json", "package-lock.json", "tsconfig.json", "functions/runtime/main.mts", "functions/index.ts"], data.archive_file.source.source[*].filename)) == 0
    error_message = "The archive must hold what npm ci, tsc and the functions framework need."
  }

  assert {
    condition     = data.archive_file.source.output_file_mode == "0644"
    error_message = "The files' modes must not depend on the machine: they are part of the hash."
  }

  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.this :
      function.build_config[0].runtime == "nodejs24"
      && function.build_config[0].environment_variables == tomap({ GOOGLE_NODEJS_VERSION = "24.x.x", SOURCE_SHA256 = "0123456789abcdef" })
      && function.build_config[0].service_account == "projects/test-project/serviceAccounts/build"
      && function.build_config[0].docker_repository == "projects/test-project/locations/us-central1/repositories/mixpanel-functions"
      && function.service_config[0].timeout_seconds == 580
      && function.service_config[0].max_instance_request_concurrency == 1
      && function.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
      && function.service_config[0].available_memory == "1Gi"
      && function.service_config[0].available_cpu == "1"
    ])
    error_message = "Both functions must run on Node 24 for up to 580 s, one call an instance, reached from Google Cloud alone."
  }

  assert {
    condition = (
      google_cloudfunctions2_function.this["import"].name == "mixpanel-import-object"
      && google_cloudfunctions2_function.this["import"].build_config[0].entry_point == "importObject"
      && google_cloudfunctions2_function.this["import"].service_config[0].service_account_email == "import"
      && google_cloudfunctions2_function.this["import"].service_config[0].max_instance_count == 3
    )
    error_message = "importObject must run as its account, in at most three instances."
  }

  assert {
    condition = (
      google_cloudfunctions2_function.this["drain"].name == "mixpanel-drain-subscription"
      && google_cloudfunctions2_function.this["drain"].build_config[0].entry_point == "drainSubscription"
      && google_cloudfunctions2_function.this["drain"].service_config[0].service_account_email == "drain"
      && google_cloudfunctions2_function.this["drain"].service_config[0].max_instance_count == 1
    )
    error_message = "drainSubscription must run as its account, in one instance."
  }

  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.this :
      function.service_config[0].secret_environment_variables[0].key == "MIXPANEL_SERVICE_ACCOUNT_SECRET"
      && function.service_config[0].secret_environment_variables[0].project_id == "test-project"
      && function.service_config[0].secret_environment_variables[0].secret == "mixpanel-credentials"
      && function.service_config[0].secret_environment_variables[0].version == "7"
    ])
    error_message = "Both functions must take the service account's secret from the version that was made."
  }

  assert {
    condition     = google_secret_manager_secret.mixpanel[0].replication[0].user_managed[0].replicas[0].location == "us-central1"
    error_message = "The secret must be kept in the region alone."
  }

  assert {
    condition     = google_secret_manager_secret_version.mixpanel[0].secret_data == null && google_secret_manager_secret_version.mixpanel[0].secret_data_wo_version == 1
    error_message = "The secret must be written without passing through the state."
  }

  assert {
    condition = (
      google_artifact_registry_repository.functions.repository_id == "mixpanel-functions"
      && google_artifact_registry_repository.functions.location == "us-central1"
      && { for policy in google_artifact_registry_repository.functions.cleanup_policies : policy.id => policy.action } == { "delete-old" = "DELETE", "keep-recent" = "KEEP" }
    )
    error_message = "The repository must have a clean-up policy that spares the recent images."
  }
}

run "the_environment_says_where_things_are" {
  variables {
    mixpanel_region = "eu"
    settings        = { IMPORT_MAX_CONCURRENCY = "4" }
  }

  assert {
    condition = google_cloudfunctions2_function.this["import"].service_config[0].environment_variables == tomap({
      DEAD_LETTER_BUCKET                = "test-project-mixpanel-dead-letters"
      IMPORT_MAX_CONCURRENCY            = "4"
      MIXPANEL_PROJECT_ID               = "1"
      MIXPANEL_REGION                   = "eu"
      MIXPANEL_SERVICE_ACCOUNT_USERNAME = "user"
      NODE_OPTIONS                      = "--max-semi-space-size=1"
      OBJECT_TOPIC                      = "projects/test-project/topics/mixpanel-objects"
      STATE_BUCKET                      = "test-project-mixpanel-state"
    })
    error_message = "The environment of importObject is not what it is to be."
  }

  assert {
    condition = google_cloudfunctions2_function.this["drain"].service_config[0].environment_variables == tomap({
      DEAD_LETTER_BUCKET                = "test-project-mixpanel-dead-letters"
      EVENT_SUBSCRIPTION                = "projects/test-project/subscriptions/mixpanel-events"
      IMPORT_MAX_CONCURRENCY            = "4"
      MIXPANEL_PROJECT_ID               = "1"
      MIXPANEL_REGION                   = "eu"
      MIXPANEL_SERVICE_ACCOUNT_USERNAME = "user"
      NODE_OPTIONS                      = "--max-semi-space-size=1"
      STATE_BUCKET                      = "test-project-mixpanel-state"
    })
    error_message = "The environment of drainSubscription is not what it is to be."
  }
}

run "without_a_user_name_the_secret_is_a_project_token" {
  variables {
    mixpanel_project_id               = null
    mixpanel_service_account_username = null
  }

  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.this :
      function.service_config[0].secret_environment_variables[0].key == "MIXPANEL_PROJECT_TOKEN"
      && !anytrue([for name in keys(function.service_config[0].environment_variables) : startswith(name, "MIXPANEL_SERVICE_") || name == "MIXPANEL_PROJECT_ID"])
    ])
    error_message = "Both functions must take the token, and neither user name nor project."
  }
}

run "two_instances_share_a_project" {
  state_key = "two_instances_share_a_project"

  variables {
    name = "other"
  }

  assert {
    condition = alltrue([
      for name in [
        google_artifact_registry_repository.functions.repository_id,
        google_cloud_scheduler_job.drain["1"].name,
        google_cloudfunctions2_function.this["drain"].name,
        google_cloudfunctions2_function.this["import"].name,
        google_logging_metric.summary["read"].name,
        google_pubsub_subscription.event.name,
        google_pubsub_subscription.object.name,
        google_pubsub_topic.event[0].name,
        google_pubsub_topic.object.name,
        google_secret_manager_secret.mixpanel[0].secret_id,
        google_service_account.this["import"].account_id,
        trimprefix(google_storage_bucket.dead_letters.name, "test-project-"),
        trimprefix(google_storage_bucket.import[0].name, "test-project-"),
        trimprefix(google_storage_bucket.source.name, "test-project-"),
        trimprefix(google_storage_bucket.state.name, "test-project-"),
      ] : startswith(name, "other-") || startswith(name, "other/")
    ])
    error_message = "All names must begin with the instance's."
  }
}

run "the_longest_name_gives_ids_of_accounts_that_google_takes" {
  state_key = "the_longest_name_gives_ids_of_accounts_that_google_takes"

  variables {
    name = "twelve-chars"
  }

  assert {
    condition     = alltrue([for account in google_service_account.this : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", account.account_id))])
    error_message = "Ids of accounts are 6 to 30 characters."
  }
}

run "labels_are_on_all_that_takes_them" {
  variables {
    labels = { team = "data" }
  }

  assert {
    condition = alltrue([
      for labels in [
        google_artifact_registry_repository.functions.labels,
        google_cloudfunctions2_function.this["drain"].labels,
        google_cloudfunctions2_function.this["import"].labels,
        google_monitoring_alert_policy.metric["backlog_events"].user_labels,
        google_monitoring_alert_policy.log["errors"].user_labels,
        google_pubsub_subscription.event.labels,
        google_pubsub_subscription.object.labels,
        google_pubsub_topic.event[0].labels,
        google_pubsub_topic.object.labels,
        google_secret_manager_secret.mixpanel[0].labels,
        google_storage_bucket.dead_letters.labels,
        google_storage_bucket.import[0].labels,
        google_storage_bucket.source.labels,
        google_storage_bucket.state.labels,
      ] : labels == tomap({ app = "mixpanel-cloud-ingestion", team = "data" })
    ])
    error_message = "All that takes labels must have them."
  }
}

run "the_build_installs_dependencies_the_compiler_and_types" {
  assert {
    condition     = keys(jsondecode(one([for file in data.archive_file.source.source : file.content if file.filename == "package.json"])).devDependencies) == ["@types/node", "typescript"]
    error_message = "Of what developers have, the build needs the compiler and the types alone."
  }

  assert {
    condition = !anytrue([
      for path, entry in jsondecode(one([for file in data.archive_file.source.source : file.content if file.filename == "package-lock.json"])).packages :
      try(entry.hasInstallScript, false) && path != "node_modules/protobufjs" || contains(["node_modules/node", "node_modules/playwright-core", "node_modules/knip"], path)
    ])
    error_message = "Neither a browser driver nor the node package with its script must be installed."
  }
}

run "a_transform_of_ones_own_is_deployed" {
  variables {
    hash_key_secret       = "projects/other-project/secrets/hash-key/versions/4"
    mapping               = { from = "snowplow", drop = ["page_title"], hash = ["$user"] }
    transform             = "./tests/transform/transform.ts"
    transform_environment = { SHARE = "0.1" }
    transform_files       = { "lib/share.ts" = "./tests/transform/lib/share.ts" }
    transform_secrets     = { DISTINCT_ID_KEY = "projects/other-project/secrets/id-key/versions/3" }
  }

  assert {
    condition = { for file in data.archive_file.source.source : file.filename => file.content if startswith(file.filename, "functions/own/") || file.filename == "functions/transform.ts" } == {
      "functions/own/transform.ts" = file("./tests/transform/transform.ts")
      "functions/own/lib/share.ts" = file("./tests/transform/lib/share.ts")
      "functions/transform.ts"     = "export { default } from './own/transform.ts';\n"
    }
    error_message = "The transform and its files must lie beside one another, and be the one that runs."
  }

  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.this :
      function.service_config[0].environment_variables["SHARE"] == "0.1"
      && function.service_config[0].environment_variables["IMPORT_MAPPING"] == "{\"drop\":[\"page_title\"],\"from\":\"snowplow\",\"hash\":[\"$user\"]}"
    ])
    error_message = "Variables and mapping must reach both functions."
  }

  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.this :
      { for variable in function.service_config[0].secret_environment_variables : variable.key => "${variable.project_id}/${variable.secret}/${variable.version}" } == {
        DISTINCT_ID_KEY                 = "other-project/id-key/3"
        IMPORT_HASH_KEY                 = "other-project/hash-key/4"
        MIXPANEL_SERVICE_ACCOUNT_SECRET = "test-project/mixpanel-credentials/7"
      }
    ])
    error_message = "Secrets must reach both functions."
  }

  assert {
    condition = { for key, member in google_secret_manager_secret_iam_member.given : key => [member.project, member.secret_id, member.role, member.member] } == {
      "drain projects/other-project/secrets/hash-key"  = ["other-project", "hash-key", "roles/secretmanager.secretAccessor", "serviceAccount:drain"]
      "drain projects/other-project/secrets/id-key"    = ["other-project", "id-key", "roles/secretmanager.secretAccessor", "serviceAccount:drain"]
      "import projects/other-project/secrets/hash-key" = ["other-project", "hash-key", "roles/secretmanager.secretAccessor", "serviceAccount:import"]
      "import projects/other-project/secrets/id-key"   = ["other-project", "id-key", "roles/secretmanager.secretAccessor", "serviceAccount:import"]
    }
    error_message = "Both accounts must be let in on the secrets."
  }
}

run "both_functions_send_through_a_network" {
  variables {
    vpc = { subnetwork = "projects/net/regions/us-central1/subnetworks/s", tags = ["mixpanel"] }
  }

  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.this :
      function.service_config[0].direct_vpc_network_interface[0].subnetwork == "projects/net/regions/us-central1/subnetworks/s"
      && function.service_config[0].direct_vpc_network_interface[0].tags == tolist(["mixpanel"])
      && function.service_config[0].direct_vpc_egress == "VPC_EGRESS_ALL_TRAFFIC"
    ])
    error_message = "All that both functions send must go through the network."
  }
}

run "the_version_is_an_output" {
  assert {
    condition     = output.version == "${jsondecode(file("../package.json")).version} 0123456789abcdef"
    error_message = "The output must name the version and the archive's hash."
  }
}
