# What is refused at plan, a run each.

mock_provider "google" {}

mock_provider "time" {}

variables {
  project_id    = "test-project"
  name          = "mixpanel"
  import_bucket = "test-project-mixpanel-import"
}

run "a_bucket_with_its_scheme_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "s3://events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
  }

  expect_failures = [var.sources]
}

run "a_key_with_capitals_is_refused" {
  command = plan

  variables {
    sources = {
      Shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
  }

  expect_failures = [var.sources]
}

run "a_user_in_place_of_a_role_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:user/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
  }

  expect_failures = [var.sources]
}

run "a_role_by_its_name_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
  }

  expect_failures = [var.sources]
}

run "a_queue_by_its_url_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "https://sqs.eu-west-1.amazonaws.com/123456789012/queue" }
    }
  }

  expect_failures = [var.sources]
}

run "a_fifo_queue_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue.fifo" }
    }
  }

  expect_failures = [var.sources]
}

run "a_topic_in_place_of_a_queue_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sns:eu-west-1:123456789012:topic" }
    }
  }

  expect_failures = [var.sources]
}

run "a_bucket_in_china_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws-cn:iam::123456789012:role/transfer", queue_arn = "arn:aws-cn:sqs:cn-north-1:123456789012:queue" }
    }
  }

  expect_failures = [var.sources]
}

run "a_role_of_another_partition_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws-us-gov:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
  }

  expect_failures = [var.sources]
}

run "a_role_of_another_account_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::210987654321:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
  }

  expect_failures = [var.sources]
}

run "a_prefix_with_its_scheme_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue", prefixes = ["s3://events/a"] }
    }
  }

  expect_failures = [var.sources]
}

run "a_prefix_with_a_glob_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue", prefixes = ["a/*"] }
    }
  }

  expect_failures = [var.sources]
}

run "a_prefix_within_another_one_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue", prefixes = ["a/", "a/b/"] }
    }
  }

  expect_failures = [var.sources]
}

run "a_queue_of_two_sources_is_refused" {
  command = plan

  variables {
    sources = {
      one = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
      two = { bucket = "more-events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
  }

  expect_failures = [var.sources]
}

run "a_prefix_that_keeps_copies_out_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
    object_filters = { prefix = "uploads/" }
  }

  expect_failures = [google_storage_transfer_job.new]
}

run "a_prefix_within_the_copies_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
    object_filters = { prefix = "s3/events/a/" }
  }

  expect_failures = [google_storage_transfer_job.new]
}

run "an_include_that_keeps_copies_out_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
    object_filters = { include = ["uploads/**", "*.ndjson"] }
  }

  expect_failures = [google_storage_transfer_job.new]
}

run "an_include_of_another_bucket_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
    object_filters = { include = ["s3/other/**"] }
  }

  expect_failures = [google_storage_transfer_job.new]
}

run "an_exclude_that_keeps_copies_out_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
    object_filters = { exclude = ["*.crc", "s3/**"] }
  }

  expect_failures = [google_storage_transfer_job.new]
}

run "an_exclude_of_some_copies_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
    object_filters = { exclude = ["s3/events/a/*"] }
  }

  expect_failures = [google_storage_transfer_job.new]
}

run "an_exclude_of_all_folders_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
    object_filters = { exclude = ["*/**"] }
  }

  expect_failures = [google_storage_transfer_job.new]
}

run "an_include_of_one_level_is_refused" {
  command = plan

  variables {
    sources = {
      shop = { bucket = "events", role_arn = "arn:aws:iam::123456789012:role/transfer", queue_arn = "arn:aws:sqs:eu-west-1:123456789012:queue" }
    }
    object_filters = { include = ["s3/events/*"] }
  }

  expect_failures = [google_storage_transfer_job.new]
}
