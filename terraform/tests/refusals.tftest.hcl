# What the variables refuse, a run each.

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

run "a_project_id_in_capitals_is_refused" {
  command = plan

  variables {
    project_id = "My Project"
  }

  expect_failures = [var.project_id]
}

run "a_multi_region_is_refused" {
  command = plan

  variables {
    region = "EU"
  }

  expect_failures = [var.region]
}

run "a_name_of_2_characters_is_refused" {
  command = plan

  variables {
    name = "mp"
  }

  expect_failures = [var.name]
}

run "a_name_of_13_characters_is_refused" {
  command = plan

  variables {
    name = "thirteen-char"
  }

  expect_failures = [var.name]
}

run "a_name_that_ends_with_a_hyphen_is_refused" {
  command = plan

  variables {
    name = "mixpanel-"
  }

  expect_failures = [var.name]
}

run "a_label_with_capitals_is_refused" {
  command = plan

  variables {
    labels = { Team = "data" }
  }

  expect_failures = [var.labels]
}

run "a_label_whose_value_has_spaces_is_refused" {
  command = plan

  variables {
    labels = { team = "big data" }
  }

  expect_failures = [var.labels]
}

run "a_bucket_with_its_scheme_is_refused" {
  command = plan

  variables {
    import_bucket = { name = "gs://bucket", project_id = "test-project" }
  }

  expect_failures = [var.import_bucket]
}

run "a_bucket_in_a_project_by_its_number_is_refused" {
  command = plan

  variables {
    import_bucket = { name = "bucket", project_id = "123" }
  }

  expect_failures = [var.import_bucket]
}

run "the_state_bucket_as_import_bucket_is_refused" {
  command = plan

  variables {
    import_bucket = { name = "test-project-mixpanel-state", project_id = "test-project" }
  }

  expect_failures = [var.import_bucket]
}

run "the_dead_letter_bucket_as_import_bucket_is_refused" {
  command = plan

  variables {
    import_bucket = { name = "test-project-mixpanel-dead-letters", project_id = "test-project" }
  }

  expect_failures = [var.import_bucket]
}

run "a_prefix_that_ends_in_white_space_is_refused" {
  command = plan

  variables {
    object_prefix = "events "
  }

  expect_failures = [var.object_prefix]
}

run "a_prefix_with_a_line_break_is_refused" {
  command = plan

  variables {
    object_prefix = "a\nb"
  }

  expect_failures = [var.object_prefix]
}

run "a_prefix_with_a_bucket_is_refused" {
  command = plan

  variables {
    object_prefix = "gs://bucket/events/"
  }

  expect_failures = [var.object_prefix]
}

run "an_empty_list_of_globs_to_include_is_refused" {
  command = plan

  variables {
    object_include = []
  }

  expect_failures = [var.object_include]
}

run "an_empty_list_of_globs_to_exclude_is_refused" {
  command = plan

  variables {
    object_exclude = []
  }

  expect_failures = [var.object_exclude]
}

run "a_glob_with_a_comma_is_refused" {
  command = plan

  variables {
    object_include = ["a,b"]
  }

  expect_failures = [var.object_include]
}

run "a_glob_with_braces_is_refused" {
  command = plan

  variables {
    object_exclude = ["*.crc", "*.{a}"]
  }

  expect_failures = [var.object_exclude]
}

run "a_glob_with_a_bracket_is_refused" {
  command = plan

  variables {
    object_include = ["a[b"]
  }

  expect_failures = [var.object_include]
}

run "a_glob_with_three_asterisks_is_refused" {
  command = plan

  variables {
    object_exclude = ["***"]
  }

  expect_failures = [var.object_exclude]
}

run "a_glob_with_a_bucket_is_refused" {
  command = plan

  variables {
    object_include = ["gs://bucket/**"]
  }

  expect_failures = [var.object_include]
}

run "a_glob_that_is_empty_is_refused" {
  command = plan

  variables {
    object_exclude = [""]
  }

  expect_failures = [var.object_exclude]
}

run "a_topic_by_its_last_name_is_refused" {
  command = plan

  variables {
    event_topic = "events"
  }

  expect_failures = [var.event_topic]
}

run "a_user_name_with_a_colon_is_refused" {
  command = plan

  variables {
    mixpanel_service_account_username = "user:secret"
  }

  expect_failures = [var.mixpanel_service_account_username]
}

run "a_mixpanel_project_by_its_name_is_refused" {
  command = plan

  variables {
    mixpanel_project_id = "Shop"
  }

  expect_failures = [var.mixpanel_project_id]
}

run "a_service_account_without_its_project_is_refused" {
  command = plan

  variables {
    mixpanel_project_id               = null
    mixpanel_service_account_username = "user"
  }

  expect_failures = [var.mixpanel_project_id]
}

run "a_mixpanel_region_that_there_is_not_is_refused" {
  command = plan

  variables {
    mixpanel_region = "uk"
  }

  expect_failures = [var.mixpanel_region]
}

run "no_secret_is_refused" {
  command = plan

  variables {
    mixpanel_secret = null
  }

  expect_failures = [terraform_data.refusals]
}

run "an_empty_secret_is_refused" {
  command = plan

  variables {
    mixpanel_secret = " "
  }

  expect_failures = [var.mixpanel_secret]
}

run "a_secret_and_a_version_of_another_is_refused" {
  command = plan

  variables {
    mixpanel_secret_version = "projects/p/secrets/s/versions/1"
  }

  expect_failures = [var.mixpanel_secret]
}

run "a_revision_below_1_is_refused" {
  command = plan

  variables {
    mixpanel_secret_revision = 0
  }

  expect_failures = [var.mixpanel_secret_revision]
}

run "half_a_revision_is_refused" {
  command = plan

  variables {
    mixpanel_secret_revision = 1.5
  }

  expect_failures = [var.mixpanel_secret_revision]
}

run "the_latest_version_is_refused" {
  command = plan

  variables {
    mixpanel_secret         = null
    mixpanel_secret_version = "projects/p/secrets/s/versions/latest"
  }

  expect_failures = [var.mixpanel_secret_version]
}

run "a_setting_that_there_is_not_is_refused" {
  command = plan

  variables {
    settings = { STATE_BUCKET = "other" }
  }

  expect_failures = [var.settings]
}

run "a_setting_that_is_no_number_is_refused" {
  command = plan

  variables {
    settings = { IMPORT_DEADLINE_SECONDS = "soon" }
  }

  expect_failures = [var.settings]
}

run "a_setting_with_a_fraction_is_refused" {
  command = plan

  variables {
    settings = { IMPORT_GZIP_LEVEL = "1.5" }
  }

  expect_failures = [var.settings]
}

run "a_setting_above_its_range_is_refused" {
  command = plan

  variables {
    settings = { IMPORT_MAX_BATCH_EVENTS = "2001" }
  }

  expect_failures = [var.settings]
}

run "a_setting_below_its_range_is_refused" {
  command = plan

  variables {
    settings = { IMPORT_LEASE_SECONDS = "0" }
  }

  expect_failures = [var.settings]
}

run "another_kind_of_insert_id_is_refused" {
  command = plan

  variables {
    settings = { INSERT_ID = "random" }
  }

  expect_failures = [var.settings]
}

run "an_api_without_its_scheme_is_refused" {
  command = plan

  variables {
    settings = { MIXPANEL_API_URL = "api.mixpanel.com" }
  }

  expect_failures = [var.settings]
}

run "a_deadline_without_time_to_wind_down_is_refused" {
  command = plan

  variables {
    settings = { IMPORT_DEADLINE_SECONDS = "501" }
  }

  expect_failures = [var.settings]
}

run "an_attempt_that_outlasts_the_function_is_refused" {
  command = plan

  variables {
    settings = { IMPORT_REQUEST_TIMEOUT_MS = "60001" }
  }

  expect_failures = [var.settings]
}

run "memory_that_there_is_not_is_refused" {
  command = plan

  variables {
    memory = "256Mi"
  }

  expect_failures = [var.memory]
}

run "a_cpu_that_there_is_not_is_refused" {
  command = plan

  variables {
    cpu = "0.5"
  }

  expect_failures = [var.cpu]
}

run "too_little_cpu_for_the_memory_is_refused" {
  command = plan

  variables {
    cpu = "0.333"
  }

  expect_failures = [var.cpu]
}

run "no_instance_is_refused" {
  command = plan

  variables {
    import_max_instances = 0
  }

  expect_failures = [var.import_max_instances]
}

run "more_than_100_instances_is_refused" {
  command = plan

  variables {
    import_max_instances = 101
  }

  expect_failures = [var.import_max_instances]
}

run "half_an_instance_is_refused" {
  command = plan

  variables {
    import_max_instances = 1.5
  }

  expect_failures = [var.import_max_instances]
}

run "no_drain_is_refused" {
  command = plan

  variables {
    drain_parallelism = 0
  }

  expect_failures = [var.drain_parallelism]
}

run "more_than_10_drains_is_refused" {
  command = plan

  variables {
    drain_parallelism = 11
  }

  expect_failures = [var.drain_parallelism]
}

run "half_a_drain_is_refused" {
  command = plan

  variables {
    drain_parallelism = 1.5
  }

  expect_failures = [var.drain_parallelism]
}

run "dead_letters_that_are_never_kept_is_refused" {
  command = plan

  variables {
    dead_letter_retention_days = 0
  }

  expect_failures = [var.dead_letter_retention_days]
}

run "dead_letters_kept_for_half_days_is_refused" {
  command = plan

  variables {
    dead_letter_retention_days = 1.5
  }

  expect_failures = [var.dead_letter_retention_days]
}

run "a_channel_by_its_name_is_refused" {
  command = plan

  variables {
    notification_channels = ["me@example.com"]
  }

  expect_failures = [var.notification_channels]
}

run "an_alert_that_there_is_not_is_refused" {
  command = plan

  variables {
    alerts = { backlog = 30 }
  }

  expect_failures = [var.alerts]
}

run "a_backlog_of_seconds_is_refused" {
  command = plan

  variables {
    alerts = { backlog_minutes = 1 }
  }

  expect_failures = [var.alerts]
}

run "silence_of_days_is_refused" {
  command = plan

  variables {
    alerts = { silence_hours = 48 }
  }

  expect_failures = [var.alerts]
}

run "an_account_by_its_name_is_refused" {
  command = plan

  variables {
    service_accounts = { import = "importer" }
  }

  expect_failures = [var.service_accounts]
}

run "one_account_for_two_purposes_is_refused" {
  command = plan

  variables {
    service_accounts = { import = "one@test-project.iam.gserviceaccount.com", drain = "one@test-project.iam.gserviceaccount.com" }
  }

  expect_failures = [var.service_accounts]
}

run "a_key_in_another_region_is_refused" {
  command = plan

  variables {
    kms_key = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"
  }

  expect_failures = [var.kms_key]
}

run "a_network_without_a_name_is_refused" {
  command = plan

  variables {
    vpc = { tags = ["mixpanel"] }
  }

  expect_failures = [var.vpc]
}

run "an_egress_that_there_is_not_is_refused" {
  command = plan

  variables {
    vpc = { network = "default", egress = "NONE" }
  }

  expect_failures = [var.vpc]
}

run "a_filter_over_data_is_refused" {
  command = plan

  variables {
    event_filter = "data = 1"
  }

  expect_failures = [var.event_filter]
}

run "topics_that_keep_messages_for_months_are_refused" {
  command = plan

  variables {
    topic_retention_days = 90
  }

  expect_failures = [var.topic_retention_days]
}

run "the_latest_hash_key_is_refused" {
  command = plan

  variables {
    hash_key_secret = "projects/p/secrets/s/versions/latest"
  }

  expect_failures = [var.hash_key_secret]
}

run "a_transform_that_is_not_there_is_refused" {
  command = plan

  variables {
    transform = "./tests/transform/missing.ts"
  }

  expect_failures = [var.transform]
}

run "a_transform_in_javascript_is_refused" {
  command = plan

  variables {
    transform = "./tests/transform/transform.js"
  }

  expect_failures = [var.transform]
}

run "a_transform_without_a_default_export_is_refused" {
  command = plan

  variables {
    transform = "./tests/transform/no-default.ts"
  }

  expect_failures = [var.transform]
}

run "a_transform_that_imports_foreign_packages_or_files_that_are_not_given_is_refused" {
  command = plan

  variables {
    transform = "./tests/transform/foreign.ts"
  }

  expect_failures = [terraform_data.refusals]
}

run "a_file_out_of_the_folder_of_the_transform_is_refused" {
  command = plan

  variables {
    transform       = "./tests/transform/transform.ts"
    transform_files = { "../share.ts" = "./tests/transform/lib/share.ts" }
  }

  expect_failures = [var.transform_files]
}

run "files_without_a_transform_are_refused" {
  command = plan

  variables {
    transform_files = { "lib/share.ts" = "./tests/transform/lib/share.ts" }
  }

  expect_failures = [var.transform_files]
}

run "a_variable_that_the_functions_read_themselves_is_refused" {
  command = plan

  variables {
    transform_environment = { IMPORT_GZIP_LEVEL = "1" }
  }

  expect_failures = [var.transform_environment]
}

run "a_secret_by_its_name_is_refused" {
  command = plan

  variables {
    transform_secrets = { API_KEY = "api-key" }
  }

  expect_failures = [var.transform_secrets]
}

run "a_variable_that_is_a_secret_too_is_refused" {
  command = plan

  variables {
    transform_environment = { API_KEY = "1" }
    transform_secrets     = { API_KEY = "projects/p/secrets/s/versions/1" }
  }

  expect_failures = [var.transform_secrets]
}

run "a_mapping_from_a_preset_that_there_is_not_is_refused" {
  command = plan

  variables {
    mapping = { from = "heap" }
  }

  expect_failures = [terraform_data.refusals]
}

run "a_mapping_with_a_key_that_there_is_not_is_refused" {
  command = plan

  variables {
    mapping = [{ from = "snowplow", dropped = ["a"] }]
  }

  expect_failures = [terraform_data.refusals]
}

run "a_mapping_with_an_event_and_no_time_is_refused" {
  command = plan

  variables {
    mapping = { event = "name" }
  }

  expect_failures = [terraform_data.refusals]
}

run "a_mapping_of_a_wrong_unit_of_time_is_refused" {
  command = plan

  variables {
    mapping = { event = "name", time = { path = "at", unit = "m" } }
  }

  expect_failures = [terraform_data.refusals]
}

run "a_mapping_that_hashes_without_a_key_is_refused" {
  command = plan

  variables {
    mapping = { hash = ["distinct_id"] }
  }

  expect_failures = [terraform_data.refusals]
}

run "rules_behind_one_that_always_holds_are_refused" {
  command = plan

  variables {
    mapping = [{ from = "snowplow" }, { from = "segment" }]
  }

  expect_failures = [terraform_data.refusals]
}

run "an_empty_mapping_is_refused" {
  command = plan

  variables {
    mapping = []
  }

  expect_failures = [terraform_data.refusals]
}

run "docs_without_their_scheme_are_refused" {
  command = plan

  variables {
    docs_url = "example.com/docs"
  }

  expect_failures = [var.docs_url]
}

run "a_metrics_scope_by_its_number_is_refused" {
  command = plan

  variables {
    monitoring_project_id = "123"
  }

  expect_failures = [var.monitoring_project_id]
}

run "the_edges_are_taken" {
  command = plan

  variables {
    hash_key_secret = "projects/p/secrets/s/versions/1"
    mapping = [
      { when = { object = "orders/**/*.csv" }, format = { delimiter = ";", header = true }, event = { value = "Order \"Completed\"" }, time = { path = "at", unit = "ms", zone = "Europe/Berlin" }, user = "customer", insertId = ["order", "line"], number = ["total"] },
      { when = { attributes = { source = "segment" } }, from = "segment", hash = ["$user", { name = "email", normalize = true }], rename = { "a.b" = "c" } },
      { refuse = true },
    ]
    settings = {
      DRAIN_IDLE_SECONDS         = "0"
      IMPORT_DEADLINE_SECONDS    = "530"
      IMPORT_GZIP_LEVEL          = "9"
      IMPORT_MAX_BYTES_IN_FLIGHT = "1000000000"
      IMPORT_REQUEST_TIMEOUT_MS  = "30000"
      INSERT_ID                  = "position"
      MIXPANEL_API_URL           = "https://proxy.example.com/mixpanel"
    }
    alerts                     = { backlog_minutes = 5, dead_letters_percent = 0, retention_days_left = 30, silence_hours = 23 }
    cpu                        = "0.583"
    dead_letter_retention_days = 1
    drain_parallelism          = 10
    import_max_instances       = 100
    name                       = "abc"
  }
}
