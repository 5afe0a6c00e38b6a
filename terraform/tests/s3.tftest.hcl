# Amazon S3: what the module passes on. The jobs themselves are tested in modules/s3-source.

mock_provider "google" {
  source = "./tests/mocks"

  override_data {
    target = module.s3[0].data.google_storage_transfer_project_service_account.agent
    values = { member = "serviceAccount:transfer-agent", email = "transfer-agent", subject_id = "112233445566778899001" }
  }
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

run "without_sources_nothing_is_made_for_them" {
  command = plan

  assert {
    condition     = length(module.s3) == 0 && output.s3_transfer_subject_id == null
    error_message = "There must be no transfer agent."
  }

  assert {
    condition     = length(google_storage_bucket.import[0].lifecycle_rule) == 0
    error_message = "Nothing must expire unless asked for."
  }
}

run "the_subject_id_is_known_before_there_is_a_source" {
  variables {
    s3_sources = {}
  }

  assert {
    condition     = output.s3_transfer_subject_id == "112233445566778899001" && length(module.s3[0].jobs) == 0
    error_message = "The agent must be known, without a job."
  }
}

run "sources_are_copied_to_the_import_bucket" {
  variables {
    s3_copy_retention_days = 35
    s3_sources = {
      shop = {
        bucket    = "shop-events"
        role_arn  = "arn:aws:iam::123456789012:role/transfer"
        queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue"
      }
    }
  }

  assert {
    condition     = module.s3[0].destinations["shop"] == "gs://test-project-mixpanel-import/s3/shop-events/"
    error_message = "Copies must be below s3/BUCKET/."
  }

  assert {
    condition = (
      one(one(google_storage_bucket.import[0].lifecycle_rule).condition).age == 35
      && one(one(google_storage_bucket.import[0].lifecycle_rule).condition).matches_prefix == tolist(["s3/"])
      && one(one(google_storage_bucket.import[0].lifecycle_rule).action).type == "Delete"
    )
    error_message = "Copies, and only they, must expire."
  }
}

run "copies_that_expire_too_early_are_refused" {
  command = plan

  variables {
    s3_copy_retention_days = 34
  }

  expect_failures = [var.s3_copy_retention_days]
}

run "expiry_of_copies_in_a_bucket_that_is_not_ours_is_refused" {
  command = plan

  variables {
    import_bucket          = { name = "my-exports", project_id = "my-warehouse" }
    s3_copy_retention_days = 40
  }

  expect_failures = [var.s3_copy_retention_days]
}
