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

run "the_edges_are_taken" {
  command = plan

  variables {
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
