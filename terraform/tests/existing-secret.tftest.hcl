# A secret that is there already: nothing is made, and no value is asked for.

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
}

run "an_existing_secret_needs_no_value" {
  # Terraform 1.11 applies no test in which an ephemeral variable is left out.
  command = plan

  variables {
    mixpanel_secret_version = "projects/other-project/secrets/other-secret/versions/3"
  }

  assert {
    condition     = length(google_secret_manager_secret.mixpanel) == 0 && length(google_secret_manager_secret_version.mixpanel) == 0
    error_message = "No secret must be made."
  }

  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.this :
      function.service_config[0].secret_environment_variables[0].project_id == "other-project"
      && function.service_config[0].secret_environment_variables[0].secret == "other-secret"
      && function.service_config[0].secret_environment_variables[0].version == "3"
    ])
    error_message = "Both functions must take the version given."
  }

  assert {
    condition = alltrue([
      for member in google_secret_manager_secret_iam_member.function :
      member.project == "other-project" && member.secret_id == "other-secret"
    ])
    error_message = "Both accounts must be let in on the secret given."
  }
}
