# Both functions, from the sources beside this folder, and what calls drainSubscription.

locals {
  root = "${path.module}/.."
  source_files = sort(concat(
    ["package.json", "package-lock.json", "tsconfig.json"],
    tolist(fileset(local.root, "functions/**/*.{ts,mts}")),
  ))
  import_object_url      = google_cloudfunctions2_function.import_object.service_config[0].uri
  drain_subscription_url = google_cloudfunctions2_function.drain_subscription.service_config[0].uri
  has_token              = var.mixpanel_service_account_username == null
  credential             = local.has_token ? "MIXPANEL_PROJECT_TOKEN" : "MIXPANEL_SERVICE_ACCOUNT_SECRET"
  environment = merge(
    {
      DEAD_LETTER_BUCKET = google_storage_bucket.dead_letters.name
      MIXPANEL_REGION    = var.mixpanel_region
      # Buffers die young: a small young generation is cleared often, which costs less than collecting all of the heap.
      NODE_OPTIONS = "--max-semi-space-size=1"
      STATE_BUCKET = google_storage_bucket.state.name
    },
    var.mixpanel_project_id == null ? {} : { MIXPANEL_PROJECT_ID = var.mixpanel_project_id },
    local.has_token ? {} : { MIXPANEL_SERVICE_ACCOUNT_USERNAME = var.mixpanel_service_account_username },
    var.settings,
  )
  object_environment = merge(
    { OBJECT_TOPIC = local.object_topic },
    var.object_prefix == "" ? {} : { OBJECT_PREFIX = var.object_prefix },
    var.object_include == null ? {} : { OBJECT_INCLUDE = join(",", var.object_include) },
    var.object_exclude == null ? {} : { OBJECT_EXCLUDE = join(",", var.object_exclude) },
  )
}

data "archive_file" "source" {
  type             = "zip"
  output_path      = "${path.root}/.terraform/${var.project_id}-${var.name}-source.zip"
  output_file_mode = "0644"

  dynamic "source" {
    for_each = local.source_files

    content {
      filename = source.value
      content  = file("${local.root}/${source.value}")
    }
  }
}

# An object of the same name would not be deployed again: the name follows from the content.
resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "source-${data.archive_file.source.output_sha256}.zip"
  source = data.archive_file.source.output_path
}

resource "google_artifact_registry_repository" "functions" {
  project       = var.project_id
  location      = var.region
  repository_id = "${var.name}-functions"
  description   = "Images of the functions of ${var.name}"
  format        = "DOCKER"
  labels        = local.labels

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = 5
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [time_sleep.apis]
}

resource "google_cloudfunctions2_function" "import_object" {
  project     = var.project_id
  location    = var.region
  name        = "${var.name}-import-object"
  description = "Imports objects of ${local.import_bucket} into Mixpanel"
  labels      = local.labels

  build_config {
    runtime           = "nodejs24"
    entry_point       = "importObject"
    docker_repository = google_artifact_registry_repository.functions.id
    service_account   = google_service_account.this["build"].id
    # Else `engines` in package.json would choose, which names what runs on a developer's machine too.
    environment_variables = { GOOGLE_NODEJS_VERSION = "24.x.x" }

    source {
      storage_source {
        bucket = google_storage_bucket_object.source.bucket
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    available_cpu                    = var.cpu
    available_memory                 = var.memory
    environment_variables            = merge(local.environment, local.object_environment)
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    max_instance_count               = var.import_max_instances
    max_instance_request_concurrency = 1
    service_account_email            = google_service_account.this["import"].email
    timeout_seconds                  = local.function_timeout

    secret_environment_variables {
      key        = local.credential
      project_id = local.secret.project
      secret     = local.secret.name
      version    = local.secret.version
    }
  }

  depends_on = [time_sleep.bindings]
}

resource "google_cloudfunctions2_function" "drain_subscription" {
  project     = var.project_id
  location    = var.region
  name        = "${var.name}-drain-subscription"
  description = "Imports messages of ${local.event_topic} into Mixpanel"
  labels      = local.labels

  build_config {
    runtime           = "nodejs24"
    entry_point       = "drainSubscription"
    docker_repository = google_artifact_registry_repository.functions.id
    service_account   = google_service_account.this["build"].id
    # Else `engines` in package.json would choose, which names what runs on a developer's machine too.
    environment_variables = { GOOGLE_NODEJS_VERSION = "24.x.x" }

    source {
      storage_source {
        bucket = google_storage_bucket_object.source.bucket
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    available_cpu                    = var.cpu
    available_memory                 = var.memory
    environment_variables            = merge(local.environment, { EVENT_SUBSCRIPTION = google_pubsub_subscription.event.id })
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    max_instance_count               = var.drain_parallelism
    max_instance_request_concurrency = 1
    service_account_email            = google_service_account.this["drain"].email
    timeout_seconds                  = local.function_timeout

    secret_environment_variables {
      key        = local.credential
      project_id = local.secret.project
      secret     = local.secret.name
      version    = local.secret.version
    }
  }

  depends_on = [time_sleep.bindings]
}

resource "google_cloud_scheduler_job" "drain" {
  for_each = toset([for number in range(var.drain_parallelism) : tostring(number + 1)])

  project          = var.project_id
  region           = var.region
  name             = "${var.name}-drain-${each.key}"
  description      = "Calls drainSubscription of ${var.name} every minute; never while its last call is under way"
  schedule         = "* * * * *"
  attempt_deadline = "${local.attempt_deadline}s"

  http_target {
    http_method = "POST"
    uri         = local.drain_subscription_url

    oidc_token {
      service_account_email = google_service_account.this["scheduler"].email
      audience              = local.drain_subscription_url
    }
  }

  depends_on = [google_cloud_run_service_iam_member.scheduler, google_pubsub_subscription_iam_member.drain]
}
