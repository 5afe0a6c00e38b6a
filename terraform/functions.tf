# Both functions, and what calls drainSubscription.

locals {
  functions = {
    import = {
      name          = "import-object"
      entry_point   = "importObject"
      description   = "Imports objects of ${local.import_bucket} into Mixpanel"
      max_instances = var.import_max_instances
      environment = merge(
        { OBJECT_TOPIC = local.object_topic },
        var.object_prefix == "" ? {} : { OBJECT_PREFIX = var.object_prefix },
        var.object_include == null ? {} : { OBJECT_INCLUDE = join(",", var.object_include) },
        var.object_exclude == null ? {} : { OBJECT_EXCLUDE = join(",", var.object_exclude) },
      )
    }
    drain = {
      name          = "drain-subscription"
      entry_point   = "drainSubscription"
      description   = "Imports messages of ${local.event_topic} into Mixpanel"
      max_instances = var.drain_parallelism
      environment   = { EVENT_SUBSCRIPTION = local.event_subscription }
    }
  }
  # From names alone: a variable that is not known at plan makes the provider fail in the middle of an update.
  environment = merge(
    {
      DEAD_LETTER_BUCKET = local.dead_letter_bucket
      MIXPANEL_REGION    = var.mixpanel_region
      # Buffers die young: a small young generation is cleared often, which costs less than collecting all of the heap.
      NODE_OPTIONS = "--max-semi-space-size=1"
      STATE_BUCKET = local.state_bucket
    },
    var.mixpanel_project_id == null ? {} : { MIXPANEL_PROJECT_ID = var.mixpanel_project_id },
    local.has_token ? {} : { MIXPANEL_SERVICE_ACCOUNT_USERNAME = var.mixpanel_service_account_username },
    var.mapping == null ? {} : { IMPORT_MAPPING = jsonencode(var.mapping) },
    var.settings,
    var.transform_environment,
  )
  urls = { for key, function in google_cloudfunctions2_function.this : key => function.service_config[0].uri }
}

resource "google_cloudfunctions2_function" "this" {
  for_each = local.functions

  project      = var.project_id
  location     = var.region
  name         = "${var.name}-${each.value.name}"
  description  = each.value.description
  kms_key_name = var.kms_key
  labels       = local.labels

  build_config {
    runtime           = "nodejs24"
    entry_point       = each.value.entry_point
    docker_repository = google_artifact_registry_repository.functions.id
    service_account   = "projects/${local.account_projects["build"]}/serviceAccounts/${local.emails["build"]}"
    environment_variables = {
      # Else `engines` in package.json would choose, which names what runs on a developer's machine too.
      GOOGLE_NODEJS_VERSION = "24.x.x"
      # Of the source the provider never reads back what is deployed, but of this variable it does: so after a build that
      # failed, the next apply builds again.
      SOURCE_SHA256 = data.archive_file.source.output_sha256
    }

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
    direct_vpc_egress                = try("VPC_EGRESS_${var.vpc.egress}", null)
    environment_variables            = merge(local.environment, each.value.environment)
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    max_instance_count               = each.value.max_instances
    max_instance_request_concurrency = 1
    service_account_email            = local.emails[each.key]
    timeout_seconds                  = local.function_timeout

    dynamic "direct_vpc_network_interface" {
      for_each = var.vpc == null ? [] : [var.vpc]

      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
        tags       = direct_vpc_network_interface.value.tags
      }
    }

    dynamic "secret_environment_variables" {
      for_each = local.secret_variables

      content {
        key        = secret_environment_variables.key
        project_id = secret_environment_variables.value.project
        secret     = secret_environment_variables.value.name
        version    = secret_environment_variables.value.version
      }
    }
  }

  depends_on = [google_storage_bucket.dead_letters, google_storage_bucket.state, time_sleep.bindings]
}

moved {
  from = google_cloudfunctions2_function.import_object
  to   = google_cloudfunctions2_function.this["import"]
}

moved {
  from = google_cloudfunctions2_function.drain_subscription
  to   = google_cloudfunctions2_function.this["drain"]
}

check "functions_run_what_was_built" {
  assert {
    condition = alltrue([for function in google_cloudfunctions2_function.this : function.state == "ACTIVE"])
    error_message = join(" ", [
      for function in google_cloudfunctions2_function.this :
      "${function.name} is ${coalesce(function.state, "unknown")}: its last deployment failed, and an earlier one runs on, if there was one."
      if function.state != "ACTIVE"
    ])
  }
}

resource "google_artifact_registry_repository" "functions" {
  project       = var.project_id
  location      = var.region
  repository_id = "${var.name}-functions"
  description   = "Images of the functions of ${var.name}"
  format        = "DOCKER"
  kms_key_name  = var.kms_key
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

resource "google_cloud_scheduler_job" "drain" {
  for_each = toset([for number in range(var.drain_parallelism) : tostring(number + 1)])

  project          = var.project_id
  region           = var.region
  name             = "${var.name}-drain-${each.key}"
  description      = "Calls drainSubscription of ${var.name} every minute; never while its last call is under way"
  schedule         = "* * * * *"
  attempt_deadline = "${local.attempt_deadline}s"
  paused           = var.paused

  http_target {
    http_method = "POST"
    uri         = local.urls["drain"]

    oidc_token {
      service_account_email = local.emails["scheduler"]
      audience              = local.urls["drain"]
    }
  }

  depends_on = [google_cloud_run_service_iam_member.scheduler, google_pubsub_subscription_iam_member.drain]
}
