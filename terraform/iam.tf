# Accounts, and for each what it needs and no more; every binding is additive and on the single resource.

locals {
  accounts = {
    import    = "importObject of ${var.name}"
    drain     = "drainSubscription of ${var.name}"
    push      = "Pub/Sub's calls of importObject of ${var.name}"
    scheduler = "Cloud Scheduler's calls of drainSubscription of ${var.name}"
    build     = "Builds of the functions of ${var.name}"
  }
  # Those that are there already, by key.
  given_accounts = { for key, email in var.service_accounts : key => email if email != null }
  own_accounts   = { for key, purpose in local.accounts : key => purpose if !contains(keys(local.given_accounts), key) }
  emails = merge(local.given_accounts, {
    for key in keys(local.own_accounts) : key => google_service_account.this[key].email
  })
  account_projects = {
    for key in keys(local.accounts) :
    key => try(regex("@([^.]+)\\.iam\\.gserviceaccount\\.com$", local.given_accounts[key])[0], var.project_id)
  }
  members  = { for key, email in local.emails : key => "serviceAccount:${email}" }
  runtimes = toset(["import", "drain"])
}

resource "google_service_account" "this" {
  for_each = local.own_accounts

  project      = var.project_id
  account_id   = "${var.name}-${each.key}"
  display_name = each.value

  depends_on = [time_sleep.apis]
}

resource "google_secret_manager_secret_iam_member" "function" {
  for_each = local.has_own_secret || var.manage_iam ? local.runtimes : []

  project   = local.secret.project
  secret_id = local.secret.name
  role      = "roles/secretmanager.secretAccessor"
  member    = local.members[each.key]
}

# Those of the transform, and the key of hashes.
resource "google_secret_manager_secret_iam_member" "given" {
  for_each = var.manage_iam ? merge([
    for secret in toset([for given in values(local.given_secrets) : "projects/${given.project}/secrets/${given.name}"]) :
    { for key in local.runtimes : "${key} ${secret}" => { account = key, secret = secret } }
  ]...) : {}

  project   = split("/", each.value.secret)[1]
  secret_id = split("/", each.value.secret)[3]
  role      = "roles/secretmanager.secretAccessor"
  member    = local.members[each.value.account]
}

# importObject keeps checkpoints; drainSubscription only what it suspects, and cannot reach checkpoints.
resource "google_storage_bucket_iam_member" "state" {
  for_each = { import = [], drain = ["suspects/"] }

  bucket = google_storage_bucket.state.name
  role   = "roles/storage.objectUser"
  member = local.members[each.key]

  dynamic "condition" {
    for_each = each.value

    content {
      title       = "Objects in ${condition.value}"
      description = "Of the state bucket ${local.accounts[each.key]} uses these alone."
      expression  = "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.state.name}/objects/${condition.value}\")"
    }
  }
}

# An object that is not there is answered 404 to those who may list its bucket, and 403 to others. importObject may, by
# roles/storage.objectUser. A condition on names of objects is never true of a bucket: drainSubscription gets it here.
resource "google_storage_bucket_iam_member" "state_list" {
  bucket = google_storage_bucket.state.name
  role   = "roles/storage.legacyBucketReader"
  member = local.members["drain"]
}

# They write dead letters, and can neither read, overwrite nor delete one.
resource "google_storage_bucket_iam_member" "dead_letters" {
  for_each = local.runtimes

  bucket = google_storage_bucket.dead_letters.name
  role   = "roles/storage.objectCreator"
  member = local.members[each.key]
}

resource "google_storage_bucket_iam_member" "import" {
  count = var.import_bucket == null || var.manage_iam ? 1 : 0

  bucket = var.import_bucket == null ? google_storage_bucket.import[0].name : var.import_bucket.name
  role   = "roles/storage.objectViewer"
  member = local.members["import"]
}

moved {
  from = google_storage_bucket_iam_member.import
  to   = google_storage_bucket_iam_member.import[0]
}

resource "google_pubsub_topic_iam_member" "continuation" {
  project = var.project_id
  topic   = google_pubsub_topic.object.name
  role    = "roles/pubsub.publisher"
  member  = local.members["import"]
}

resource "google_pubsub_topic_iam_member" "storage_agent" {
  project = var.project_id
  topic   = google_pubsub_topic.object.name
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.import.member
}

resource "google_pubsub_subscription_iam_member" "drain" {
  project      = var.project_id
  subscription = google_pubsub_subscription.event.name
  role         = "roles/pubsub.subscriber"
  member       = local.members["drain"]

  # Another topic or filter means another subscription, of the same name and without this binding.
  lifecycle {
    replace_triggered_by = [google_pubsub_subscription.event.topic, google_pubsub_subscription.event.filter]
  }
}

# By the service's own name: a function that is replaced takes its bindings with it, and these are made again.
resource "google_cloud_run_service_iam_member" "push" {
  project  = var.project_id
  location = var.region
  service  = google_cloudfunctions2_function.this["import"].service_config[0].service
  role     = "roles/run.invoker"
  member   = local.members["push"]
}

resource "google_cloud_run_service_iam_member" "scheduler" {
  project  = var.project_id
  location = var.region
  service  = google_cloudfunctions2_function.this["drain"].service_config[0].service
  role     = "roles/run.invoker"
  member   = local.members["scheduler"]
}

resource "google_project_iam_member" "build" {
  for_each = {
    "roles/logging.logWriter" = []
    # Cloud Build reads sources from a bucket that Google makes at the first deployment, hence the role on the project. Of
    # a bucket with a customer-managed key has a suffix after the region.
    "roles/storage.objectViewer" = ["gcf-v2-sources-${data.google_project.this.number}-${var.region}"]
  }

  project = var.project_id
  role    = each.key
  member  = local.members["build"]

  dynamic "condition" {
    for_each = each.value

    content {
      title       = "Sources of functions in ${var.region}"
      description = "${local.accounts["build"]} read no other bucket."
      expression  = "resource.name.startsWith(\"projects/_/buckets/${condition.value}\")"
    }
  }

  # An upgrade gives the narrower role before it takes the wider one.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project_id
  location   = var.region
  repository = google_artifact_registry_repository.functions.name
  role       = "roles/artifactregistry.writer"
  member     = local.members["build"]
}

# What a deployment needs at once must have arrived everywhere.
resource "time_sleep" "bindings" {
  create_duration = local.propagation

  # Other secrets and accounts have other bindings, and so has a bucket that an upgrade adds: they are to be waited for too.
  triggers = merge(
    {
      builds       = "gcf-v2-sources-${data.google_project.this.number}-${var.region}"
      dead_letters = google_storage_bucket.dead_letters.name
      secret       = "projects/${local.secret.project}/secrets/${local.secret.name}"
    },
    length(local.given_secrets) == 0 ? {} : {
      given_secrets = join(" ", sort(distinct([for secret in values(local.given_secrets) : "projects/${secret.project}/secrets/${secret.name}"])))
    },
    length(local.given_accounts) == 0 ? {} : { accounts = join(" ", values(local.given_accounts)) },
  )

  depends_on = [
    google_artifact_registry_repository_iam_member.build,
    google_project_iam_member.build,
    google_pubsub_topic_iam_member.storage_agent,
    google_secret_manager_secret_iam_member.function,
    google_secret_manager_secret_iam_member.given,
    google_storage_bucket_iam_member.dead_letters,
    google_storage_bucket_iam_member.import,
    google_storage_bucket_iam_member.state,
    google_storage_bucket_iam_member.state_list,
  ]
}
