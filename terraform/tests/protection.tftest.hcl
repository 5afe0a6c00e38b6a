# What a plan refuses after an installation, because data would be lost or a secret written that was not given.

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

run "an_installation" {}

# The time of a plan is in seconds, and these plans are quick.
run "a_second_passes" {
  state_key = "second"

  module {
    source = "./tests/second"
  }
}

run "another_name_is_refused" {
  command = plan

  variables {
    name = "other"
  }

  expect_failures = [terraform_data.refusals]
}

run "another_region_is_refused" {
  command = plan

  variables {
    region = "europe-west1"
  }

  expect_failures = [terraform_data.refusals]
}

run "another_bucket_is_refused_also_while_protection_is_lifted" {
  command = plan

  variables {
    deletion_protection = false
    import_bucket       = { name = "other-bucket", project_id = "other-project" }
  }

  expect_failures = [terraform_data.refusals]
}

run "another_topic_is_refused" {
  command = plan

  variables {
    event_topic = "projects/other-project/topics/events"
  }

  expect_failures = [terraform_data.refusals]
}

run "protection_is_lifted" {
  variables {
    deletion_protection = false
  }
}

run "another_second_passes" {
  state_key = "another_second"

  module {
    source = "./tests/second"
  }
}

run "after_that_another_topic_is_taken" {
  variables {
    deletion_protection = false
    event_topic         = "projects/other-project/topics/events"
  }

  assert {
    condition     = google_pubsub_subscription.event.topic == "projects/other-project/topics/events"
    error_message = "The subscription must be one of the topic given."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["drain"].service_config[0].environment_variables["EVENT_SUBSCRIPTION"] == "projects/test-project/subscriptions/mixpanel-events"
    error_message = "The environment must follow from names alone."
  }
}
