# Copies new objects of buckets in Amazon S3 to the import bucket, by Storage Transfer Service: S3's notifications arrive
# in a queue, which the service polls. What is copied is imported as any other upload is.

locals {
  propagation = "60s"
  # Below this every copy of a source is.
  paths = { for key, source in var.sources : key => "s3/${source.bucket}/" }
  # A job for all that is new, and one for all that is there, if wanted.
  existing = { for key, source in var.sources : key => source if source.copy_existing }

  roles   = ["roles/storage.legacyBucketWriter", "roles/storage.objectViewer"]
  prefix  = coalesce(var.object_filters.prefix, "s3/")
  include = coalesce(var.object_filters.include, ["**"])
  exclude = coalesce(var.object_filters.exclude, [])
  # Globs as regular expressions: `*` and `?` stop at a slash, `**` does not; one without a slash is of the last segment.
  expressions = {
    for glob in concat(local.include, local.exclude) :
    glob => format(
      strcontains(glob, "/") || glob == "**" ? "^%s$" : "(^|/)%s$",
      replace(replace(replace(replace(replace(glob, "/([.+()\\[\\]{}^$|\\\\])/", "\\$1"), "**", "\n"), "*", "[^/]*"), "?", "[^/]"), "\n", ".*"),
    )
  }
  # Names that stand for all copies of a source.
  probes = { for key, path in local.paths : key => ["${path}probe", "${path}a/b/probe"] }
}

resource "google_project_service" "storage_transfer" {
  count = var.enable_api ? 1 : 0

  project            = var.project_id
  service            = "storagetransfer.googleapis.com"
  disable_on_destroy = false
}

# An API that was just enabled refuses calls for a while.
resource "time_sleep" "api" {
  create_duration = local.propagation

  depends_on = [google_project_service.storage_transfer]
}

# The transfer agent of the project. The first request for it makes it.
data "google_storage_transfer_project_service_account" "agent" {
  project = var.project_id

  depends_on = [time_sleep.api]
}

# On this one bucket: create, replace, read and list objects, and read the bucket's location.
resource "google_storage_bucket_iam_member" "agent" {
  for_each = toset(var.manage_iam ? local.roles : [])

  bucket = var.import_bucket
  role   = each.key
  member = data.google_storage_transfer_project_service_account.agent.member
}

# The service checks both ends when a job is made: bindings here, and a role in AWS that was just made, must have arrived.
resource "time_sleep" "access" {
  create_duration = local.propagation

  triggers = { for key, source in var.sources : key => source.role_arn }

  depends_on = [google_storage_bucket_iam_member.agent]
}

# No job has a name of ours: that of a deleted job is taken for a month, and a deployment that is made again would fail.
resource "google_storage_transfer_job" "new" {
  for_each = var.sources

  project     = var.project_id
  description = "New objects of s3://${each.value.bucket}, for ${var.name}"
  status      = each.value.enabled ? "ENABLED" : "DISABLED"

  event_stream {
    name = each.value.queue_arn
  }

  transfer_spec {
    aws_s3_data_source {
      bucket_name = each.value.bucket
      role_arn    = each.value.role_arn
    }

    gcs_data_sink {
      bucket_name = var.import_bucket
      path        = local.paths[each.key]
    }

    dynamic "object_conditions" {
      for_each = length(each.value.prefixes) == 0 ? [] : [each.value.prefixes]

      content {
        include_prefixes = object_conditions.value
      }
    }

    # A second notification of the same content copies nothing, and so imports nothing.
    transfer_options {
      overwrite_when = "DIFFERENT"
    }
  }

  logging_config {
    log_actions       = ["FIND", "COPY"]
    log_action_states = ["FAILED"]
  }

  lifecycle {
    precondition {
      condition     = startswith(local.paths[each.key], local.prefix)
      error_message = "object_prefix must let all of ${local.paths[each.key]} through: objects of s3://${each.value.bucket} are copied there, and would not be imported. Use a prefix that it begins with, such as s3/, or none."
    }

    precondition {
      condition     = alltrue([for name in local.probes[each.key] : anytrue([for glob in local.include : can(regex(local.expressions[glob], name))])])
      error_message = "object_include must let all of ${local.paths[each.key]} through: objects of s3://${each.value.bucket} are copied there, and would not be imported. Add s3/** to it."
    }

    precondition {
      condition = !anytrue([
        for glob in local.exclude : startswith(glob, "s3/") || anytrue([for name in local.probes[each.key] : can(regex(local.expressions[glob], name))])
      ])
      error_message = "object_exclude must let all of ${local.paths[each.key]} through: objects of s3://${each.value.bucket} are copied there, and would not be imported. To leave some out, use prefixes."
    }
  }

  depends_on = [time_sleep.access]
}

# A day after tomorrow's midnight has begun is always in the future, which a schedule must be when the job is made.
resource "time_offset" "existing" {
  for_each = local.existing

  offset_hours = 25

  triggers = { bucket = each.value.bucket, prefixes = join(",", each.value.prefixes) }
}

# Runs once, at the next midnight (UTC) or the one after it. Objects that were copied already are not copied again.
resource "google_storage_transfer_job" "existing" {
  for_each = local.existing

  project     = var.project_id
  description = "Objects that s3://${each.value.bucket} had before, for ${var.name}; once"
  status      = each.value.enabled ? "ENABLED" : "DISABLED"

  schedule {
    schedule_start_date {
      year  = time_offset.existing[each.key].year
      month = time_offset.existing[each.key].month
      day   = time_offset.existing[each.key].day
    }

    schedule_end_date {
      year  = time_offset.existing[each.key].year
      month = time_offset.existing[each.key].month
      day   = time_offset.existing[each.key].day
    }
  }

  transfer_spec {
    aws_s3_data_source {
      bucket_name = each.value.bucket
      role_arn    = each.value.role_arn
    }

    gcs_data_sink {
      bucket_name = var.import_bucket
      path        = local.paths[each.key]
    }

    dynamic "object_conditions" {
      for_each = length(each.value.prefixes) == 0 ? [] : [each.value.prefixes]

      content {
        include_prefixes = object_conditions.value
      }
    }

    transfer_options {
      overwrite_when = "DIFFERENT"
    }
  }

  logging_config {
    log_actions       = ["FIND", "COPY"]
    log_action_states = ["FAILED"]
  }

  # What comes while this runs is copied by the other job.
  depends_on = [google_storage_transfer_job.new, time_sleep.access]
}
