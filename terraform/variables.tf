# What can be chosen. Everything else follows, or is no choice.

variable "project_id" {
  description = "Google Cloud project that everything is made in."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region of the functions, the buckets, the secret and the stored messages, such as `europe-west1`."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as us-central1 or europe-west1."
  }
}

variable "name" {
  description = "Begins the names of all resources, so that several instances live in one project."
  type        = string
  default     = "mixpanel"
  nullable    = false

  # The ids of accounts end at 30 characters, the names of buckets at 63.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,10}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 12 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen."
  }
}

variable "labels" {
  description = "Further labels of all resources that take labels."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "labels must have keys and values of at most 63 lower-case letters, digits, hyphens and underscores; a key begins with a letter."
  }
}

variable "enable_apis" {
  description = "Whether the module enables the APIs that it needs; false where somebody else does."
  type        = bool
  default     = true
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether topics and subscriptions refuse to be destroyed, and the plan refuses another name, region, bucket or topic. To destroy, apply with false first."
  type        = bool
  default     = true
  nullable    = false
}

variable "paused" {
  description = "Stops everything: nothing is imported, and what arrives waits in the subscriptions, for up to 31 days."
  type        = bool
  default     = false
  nullable    = false
}

variable "manage_iam" {
  description = "Whether the module lets its accounts in on a bucket and on secrets that are there already; false where somebody else does."
  type        = bool
  default     = true
  nullable    = false
}

variable "service_accounts" {
  description = "E-mail addresses of accounts that are there already, by what they are for; the others are made."
  type = object({
    import    = optional(string)
    drain     = optional(string)
    push      = optional(string)
    scheduler = optional(string)
    build     = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for email in values(var.service_accounts) : email == null || can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]+\\.iam\\.gserviceaccount\\.com$", email))
    ])
    error_message = "service_accounts must each be the address of a service account, such as name@project.iam.gserviceaccount.com."
  }

  validation {
    condition     = length(distinct([for email in values(var.service_accounts) : email if email != null])) == length([for email in values(var.service_accounts) : email if email != null])
    error_message = "service_accounts must be five different ones: what one may do, the others must not."
  }
}

variable "kms_key" {
  description = "Key that encrypts buckets, topics, the secret, images and functions, as `projects/P/locations/REGION/keyRings/R/cryptoKeys/K`. Default: Google's own. The service agents must be let in on it: see [A key of your own](#a-key-of-your-own)."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/[:space:]]+/locations/${var.region}/keyRings/[^/[:space:]]+/cryptoKeys/[^/[:space:]]+$", var.kms_key))
    error_message = "kms_key must be projects/P/locations/${var.region}/keyRings/R/cryptoKeys/K: a key without its version, in the region."
  }
}

variable "vpc" {
  description = "Network that both functions send through (Direct VPC egress): `network` or `subnetwork` or both, `tags`, and `egress`: `ALL_TRAFFIC` or `PRIVATE_RANGES_ONLY`."
  type = object({
    network    = optional(string)
    subnetwork = optional(string)
    tags       = optional(list(string))
    egress     = optional(string, "ALL_TRAFFIC")
  })
  default = null

  validation {
    condition     = var.vpc == null || try(var.vpc.network, null) != null || try(var.vpc.subnetwork, null) != null
    error_message = "vpc must name a network or a subnetwork."
  }

  validation {
    condition     = var.vpc == null || contains(["ALL_TRAFFIC", "PRIVATE_RANGES_ONLY"], try(var.vpc.egress, ""))
    error_message = "vpc.egress must be ALL_TRAFFIC or PRIVATE_RANGES_ONLY."
  }
}

variable "enforce_in_transit" {
  description = "Whether Pub/Sub refuses to take messages from, and to give them to, other regions."
  type        = bool
  default     = false
  nullable    = false
}

variable "import_bucket" {
  description = "An existing bucket to import from, and the project that it is in. Default: a new one."
  type        = object({ name = string, project_id = string })
  default     = null

  validation {
    condition     = var.import_bucket == null || can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", var.import_bucket.name))
    error_message = "import_bucket.name must be the name of a bucket, without gs://."
  }

  validation {
    condition     = var.import_bucket == null || can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.import_bucket.project_id))
    error_message = "import_bucket.project_id must be the id of the bucket's project."
  }

  validation {
    condition     = !contains([for suffix in ["state", "dead-letters"] : "${var.project_id}-${var.name}-${suffix}"], try(var.import_bucket.name, ""))
    error_message = "import_bucket must be neither the state bucket nor the dead letter bucket."
  }
}

variable "object_prefix" {
  description = "Only objects whose names begin with this are imported. Default: all."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = trimspace(var.object_prefix) == var.object_prefix && !can(regex("[\\r\\n]", var.object_prefix)) && length(var.object_prefix) <= 1024
    error_message = "object_prefix must be the beginning of an object's name, of at most 1,024 characters, without line breaks and without white space at its ends."
  }

  validation {
    condition     = !startswith(var.object_prefix, "gs://")
    error_message = "object_prefix must be given without the bucket, such as events/."
  }
}

variable "object_include" {
  description = "Globs over object names, such as `*.ndjson` or `exports/**`: only objects that match one are imported, within `object_prefix`. Null for all."
  type        = list(string)
  default     = null

  validation {
    condition     = var.object_include == null || try(length(var.object_include) > 0, false)
    error_message = "object_include must have at least one glob; leave it out to import all objects."
  }

  validation {
    condition = alltrue([
      for glob in coalesce(var.object_include, ["*"]) :
      can(regex("^[^\\[\\]{},\\\\\\r\\n]+$", glob)) && length(glob) <= 1024 && trimspace(glob) == glob && !strcontains(glob, "***") && !startswith(glob, "gs://")
    ])
    error_message = "object_include must be globs with *, ** and ?, each without the bucket, commas, brackets, braces, backslashes and white space at its ends; write ? for such a character."
  }
}

variable "object_exclude" {
  description = "Globs over object names: objects that match one are not imported. Null for temporary objects of other tools; `[\"none\"]` excludes nothing."
  type        = list(string)
  default     = null

  validation {
    condition     = var.object_exclude == null || try(length(var.object_exclude) > 0, false)
    error_message = "object_exclude must have at least one glob; [\"none\"] excludes nothing."
  }

  validation {
    condition = alltrue([
      for glob in coalesce(var.object_exclude, ["*"]) :
      can(regex("^[^\\[\\]{},\\\\\\r\\n]+$", glob)) && length(glob) <= 1024 && trimspace(glob) == glob && !strcontains(glob, "***") && !startswith(glob, "gs://")
    ])
    error_message = "object_exclude must be globs with *, ** and ?, each without the bucket, commas, brackets, braces, backslashes and white space at its ends; write ? for such a character."
  }
}

variable "event_topic" {
  description = "An existing topic to import from, as `projects/P/topics/T`. Default: a new one. Another topic means another subscription: drain the old one first."
  type        = string
  default     = null

  validation {
    condition     = var.event_topic == null || can(regex("^projects/[^/[:space:]]+/topics/[^/[:space:]]+$", var.event_topic))
    error_message = "event_topic must be projects/P/topics/T."
  }
}

variable "event_filter" {
  description = "Only messages whose attributes fit this [filter](https://cloud.google.com/pubsub/docs/subscription-message-filter) are imported. Default: all. Pub/Sub drops the others."
  type        = string
  default     = null

  validation {
    condition     = var.event_filter == null || try(length(trimspace(var.event_filter)) > 0 && length(var.event_filter) <= 256 && strcontains(var.event_filter, "attributes"), false)
    error_message = "event_filter must be a filter over attributes of at most 256 characters, such as attributes.source = \"web\", or null for all messages."
  }
}

variable "topic_retention_days" {
  description = "Days for which topics of ours keep messages that were acknowledged too, so that a subscription can seek back to them. Default: none."
  type        = number
  default     = null

  validation {
    condition     = try(var.topic_retention_days >= 1 && var.topic_retention_days <= 31 && floor(var.topic_retention_days) == var.topic_retention_days, var.topic_retention_days == null)
    error_message = "topic_retention_days must be a whole number from 1 to 31, or null."
  }
}

variable "mapping" {
  description = "What becomes of records that are not Mixpanel's events: a rule or a list of rules, as in [mappings](../docs/mappings.md)."
  type        = any
  default     = null
}

variable "hash_key_secret" {
  description = "Key of the hashes of a mapping and of ids by content, as `projects/P/secrets/S/versions/N`. Set it before the first import, and keep it."
  type        = string
  default     = null

  validation {
    condition     = var.hash_key_secret == null || can(regex("^projects/[^/[:space:]]+/secrets/[^/[:space:]]+/versions/[0-9]+$", var.hash_key_secret))
    error_message = "hash_key_secret must be projects/P/secrets/S/versions/N, N being a number."
  }
}

variable "transform" {
  description = "Path of the TypeScript file whose default export is your [transform](../docs/transform.md), such as `\"$${path.root}/transform.ts\"`; default: `functions/transform.ts`."
  type        = string
  default     = null

  validation {
    condition     = var.transform == null || can(regex("(^|/)[A-Za-z0-9_][A-Za-z0-9_.-]*\\.ts$", var.transform))
    error_message = "transform must be the path of a file that ends in .ts."
  }

  validation {
    condition     = var.transform == null || try(fileexists(var.transform), false)
    error_message = "transform must be a file that is there; begin its path with $${path.root}/ for one beside your configuration."
  }

  validation {
    condition     = var.transform == null || can(regex("(?m)^export (default\\b|\\{.*\\bdefault\\b.*\\})", file(var.transform)))
    error_message = "transform must be a module with a default export: export default transform;"
  }
}

variable "transform_files" {
  description = "Further files that the transform imports: their names relative to it, and their paths."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.transform_files) : can(regex("^([A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*\\.(ts|json)$", name))])
    error_message = "transform_files must have names relative to the transform, such as lib/ids.ts, which end in .ts or .json and do not lead out of its folder."
  }

  validation {
    condition     = alltrue([for path in values(var.transform_files) : try(fileexists(path), false)])
    error_message = "transform_files must be files that are there: ${join(", ", [for name, path in var.transform_files : name if !try(fileexists(path), false)])}."
  }

  validation {
    condition     = length(var.transform_files) == 0 || var.transform != null
    error_message = "transform_files need a transform that imports them."
  }

  validation {
    condition     = !contains(keys(var.transform_files), try(basename(var.transform), ""))
    error_message = "transform_files must not hold the transform itself."
  }
}

variable "transform_environment" {
  description = "Environment variables for the transform, in `process.env`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.transform_environment) : can(regex("^[A-Z_][A-Z0-9_]*$", name)) && !can(regex(local.reserved_variables, name))])
    error_message = "transform_environment must have names of capitals, digits and underscores that ${local.reserved_variables_text}."
  }
}

variable "transform_secrets" {
  description = "Environment variables for the transform from Secret Manager, by name, as `projects/P/secrets/S/versions/N`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.transform_secrets) : can(regex("^[A-Z_][A-Z0-9_]*$", name)) && !can(regex(local.reserved_variables, name))])
    error_message = "transform_secrets must have names of capitals, digits and underscores that ${local.reserved_variables_text}."
  }

  validation {
    condition     = alltrue([for version in values(var.transform_secrets) : can(regex("^projects/[^/[:space:]]+/secrets/[^/[:space:]]+/versions/[0-9]+$", version))])
    error_message = "transform_secrets must each be projects/P/secrets/S/versions/N, N being a number."
  }

  validation {
    condition     = length(setintersection(keys(var.transform_secrets), keys(var.transform_environment))) == 0
    error_message = "transform_secrets and transform_environment must not have the same names."
  }
}

variable "mixpanel_service_account_username" {
  description = "User name of the Mixpanel service account whose secret is given; null where the secret is a project token."
  type        = string
  default     = null

  validation {
    condition     = var.mixpanel_service_account_username == null || can(regex("^[^:[:space:]]+$", var.mixpanel_service_account_username))
    error_message = "mixpanel_service_account_username must be a user name without white space and colons, or null where the secret is a project token."
  }
}

variable "mixpanel_project_id" {
  description = "Number of the Mixpanel project that events go to; needed with a service account."
  type        = string
  default     = null

  validation {
    condition     = var.mixpanel_project_id == null || can(regex("^[0-9]+$", var.mixpanel_project_id))
    error_message = "mixpanel_project_id must be a number: see Project Settings in Mixpanel."
  }

  validation {
    condition     = var.mixpanel_service_account_username == null || var.mixpanel_project_id != null
    error_message = "mixpanel_project_id must be given where mixpanel_service_account_username is."
  }
}

variable "mixpanel_region" {
  description = "Where the Mixpanel project keeps its data: `us`, `eu` or `in`."
  type        = string
  default     = "us"
  nullable    = false

  validation {
    condition     = contains(["us", "eu", "in"], var.mixpanel_region)
    error_message = "mixpanel_region must be us, eu or in."
  }
}

variable "mixpanel_secret" {
  description = "The service account's secret, or the project token. Give it as `TF_VAR_mixpanel_secret`, never in a file; it is in no state and no plan. Only a plan that writes it asks for it: the first, and one with another `mixpanel_secret_revision`."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.mixpanel_secret == null || try(length(trimspace(var.mixpanel_secret)) > 0, false)
    error_message = "mixpanel_secret must not be empty."
  }

  validation {
    condition     = var.mixpanel_secret == null || var.mixpanel_secret_version == null
    error_message = "Either mixpanel_secret must be given or mixpanel_secret_version, and not both."
  }
}

variable "mixpanel_secret_revision" {
  description = "Raise it to have `mixpanel_secret` written anew. Another secret alone is not noticed: nothing of it is kept to compare it with."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.mixpanel_secret_revision >= 1 && floor(var.mixpanel_secret_revision) == var.mixpanel_secret_revision
    error_message = "mixpanel_secret_revision must be a whole number from 1."
  }
}

variable "mixpanel_secret_version" {
  description = "Version of an existing secret to use in place of `mixpanel_secret`, as `projects/P/secrets/S/versions/N`: the better way for pipelines, which then handle no secret."
  type        = string
  default     = null

  validation {
    condition     = var.mixpanel_secret_version == null || can(regex("^projects/[^/[:space:]]+/secrets/[^/[:space:]]+/versions/[0-9]+$", var.mixpanel_secret_version))
    error_message = "mixpanel_secret_version must be projects/P/secrets/S/versions/N, N being a number."
  }
}

locals {
  # What the functions read themselves, or Google sets.
  reserved_variables      = "^(DEAD_LETTER_BUCKET|DRAIN_|EVENT_|FUNCTION_|GAE_|GCP_|GCLOUD_|GOOGLE_|IMPORT_|INSERT_ID$|K_|LOG_|MIXPANEL_|NODE_|OBJECT_|PORT$|PUBSUB_|SOURCE_SHA256$|STATE_BUCKET$|STORAGE_|X_GOOGLE_)"
  reserved_variables_text = "the functions and Google do not use (not MIXPANEL_…, IMPORT_…, OBJECT_…, GOOGLE_…, NODE_… and the like)"
  # What a threshold of `alerts` may be, from and to.
  alert_ranges = {
    backlog_minutes      = [5, 10080]
    crash_minutes        = [5, 1440]
    credentials_minutes  = [5, 1440]
    dead_letters_percent = [0, 100]
    error_minutes        = [5, 1440]
    retention_days_left  = [1, 30]
    silence_hours        = [1, 23]
  }
  # What a number of `settings` may be, from and to, as functions/config.ts has it.
  setting_ranges = {
    DRAIN_IDLE_SECONDS         = [0, 500]
    IMPORT_DEADLINE_SECONDS    = [1, 580]
    IMPORT_GZIP_LEVEL          = [1, 9]
    IMPORT_LEASE_SECONDS       = [2, 600]
    IMPORT_MAX_BATCH_BYTES     = [1, 10000000]
    IMPORT_MAX_BATCH_EVENTS    = [1, 2000]
    IMPORT_MAX_BYTES_IN_FLIGHT = [1, 1000000000]
    IMPORT_MAX_CONCURRENCY     = [1, 100]
    IMPORT_REQUEST_TIMEOUT_MS  = [1, 600000]
    IMPORT_RETRY_MAX_DELAY_MS  = [1, 600000]
    IMPORT_RETRY_MIN_DELAY_MS  = [1, 600000]
  }
}

variable "settings" {
  description = "Further environment variables of both functions: `IMPORT_*`, `DRAIN_IDLE_SECONDS`, `INSERT_ID` and `MIXPANEL_API_URL`, as in [configuration](../docs/configuration.md)."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.settings) : contains(concat(keys(local.setting_ranges), ["INSERT_ID", "MIXPANEL_API_URL"]), name)])
    error_message = "settings may hold ${join(", ", keys(local.setting_ranges))}, INSERT_ID and MIXPANEL_API_URL."
  }

  validation {
    condition = alltrue([
      for name, range in local.setting_ranges :
      try(can(regex("^[0-9]+$", var.settings[name])) && tonumber(var.settings[name]) >= range[0] && tonumber(var.settings[name]) <= range[1], false)
      if contains(keys(var.settings), name)
    ])
    error_message = "settings must be whole numbers within: ${join(", ", [for name, range in local.setting_ranges : "${name} ${range[0]} to ${range[1]}"])}."
  }

  validation {
    condition     = contains(["content", "position"], lookup(var.settings, "INSERT_ID", "content"))
    error_message = "settings.INSERT_ID must be content or position."
  }

  validation {
    condition     = can(regex("^https?://[^[:space:]@?#]+$", lookup(var.settings, "MIXPANEL_API_URL", "https://default")))
    error_message = "settings.MIXPANEL_API_URL must be a URL that begins with http:// or https://, without user name, query and fragment."
  }

  validation {
    condition = try(
      tonumber(lookup(var.settings, "IMPORT_DEADLINE_SECONDS", "500"))
      + tonumber(lookup(var.settings, "IMPORT_REQUEST_TIMEOUT_MS", "60000")) / 1000
      + 20 <= local.function_timeout,
      true, # no numbers: the validation above says so
    )
    error_message = "IMPORT_DEADLINE_SECONDS and IMPORT_REQUEST_TIMEOUT_MS together must leave 20 of the functions' ${local.function_timeout} seconds."
  }
}

variable "memory" {
  description = "Memory of an instance of either function: `512Mi`, `1Gi`, `2Gi` or `4Gi`."
  type        = string
  default     = "1Gi"
  nullable    = false

  validation {
    condition     = contains(["512Mi", "1Gi", "2Gi", "4Gi"], var.memory)
    error_message = "memory must be 512Mi, 1Gi, 2Gi or 4Gi."
  }
}

variable "cpu" {
  description = "vCPUs of an instance of either function: `0.333`, `0.583`, `1` or `2`."
  type        = string
  default     = "1"
  nullable    = false

  validation {
    condition     = contains(["0.333", "0.583", "1", "2"], var.cpu)
    error_message = "cpu must be 0.333, 0.583, 1 or 2."
  }

  validation {
    condition     = try(tonumber(var.cpu) >= lookup({ "1Gi" = 0.583, "2Gi" = 1, "4Gi" = 1 }, var.memory, 0), true)
    error_message = "cpu must be at least 0.583 with 1Gi of memory, and at least 1 with 2Gi or 4Gi."
  }
}

variable "import_max_instances" {
  description = "Objects that are imported at once, at most. An instance makes up to 10 requests at a time, and Mixpanel wants 10 to 20 from a whole project."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.import_max_instances >= 1 && var.import_max_instances <= 100 && floor(var.import_max_instances) == var.import_max_instances
    error_message = "import_max_instances must be a whole number from 1 to 100."
  }
}

variable "drain_parallelism" {
  description = "Drains of the subscription at once: so many Scheduler jobs call drainSubscription every minute. Each makes up to 10 requests at a time."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.drain_parallelism >= 1 && var.drain_parallelism <= 10 && floor(var.drain_parallelism) == var.drain_parallelism
    error_message = "drain_parallelism must be a whole number from 1 to 10."
  }
}

variable "dead_letter_retention_days" {
  description = "Days after which dead letters are deleted for good. Default: they are kept."
  type        = number
  default     = null

  validation {
    condition     = try(var.dead_letter_retention_days >= 1 && floor(var.dead_letter_retention_days) == var.dead_letter_retention_days, var.dead_letter_retention_days == null)
    error_message = "dead_letter_retention_days must be a whole number from 1, or null to keep dead letters."
  }
}

variable "notification_channels" {
  description = "Notification channels that alerts go to, as `projects/P/notificationChannels/N`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/[:space:]]+/notificationChannels/[0-9]+$", channel))])
    error_message = "notification_channels must each be projects/P/notificationChannels/N; `gcloud beta monitoring channels list` shows them."
  }
}

variable "alerts" {
  description = "Thresholds of alerts, by name: see [Alerts](#alerts). What is left out has its default; null switches that alert off, and null in place of all switches off every one."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(coalesce(var.alerts, {})), keys(local.alert_ranges))) == 0
    error_message = "alerts may hold ${join(", ", keys(local.alert_ranges))}."
  }

  validation {
    condition = alltrue([
      for name, threshold in coalesce(var.alerts, {}) :
      threshold == null || try(threshold >= local.alert_ranges[name][0] && threshold <= local.alert_ranges[name][1], true)
    ])
    error_message = "alerts must be within: ${join(", ", [for name, range in local.alert_ranges : "${name} ${range[0]} to ${range[1]}"])}; or null."
  }
}

variable "s3_sources" {
  description = "Buckets in Amazon S3 to import from, by a name of your choice: [Amazon S3](../docs/s3.md). `{}` prepares for them: it enables the API and gives the output `s3_transfer_subject_id`."
  type = map(object({
    bucket        = string
    role_arn      = string
    queue_arn     = string
    prefixes      = optional(list(string), [])
    copy_existing = optional(bool, false)
    enabled       = optional(bool, true)
  }))
  default = null
}

variable "s3_copy_retention_days" {
  description = "Days after which copies of objects in Amazon S3 are deleted from our import bucket, from 35. Default: they are kept."
  type        = number
  default     = null

  validation {
    # SQS keeps a notification for 14 days, and for 14 more if it is moved back from the dead-letter queue. After that
    # nothing copies the same version again.
    condition     = try(var.s3_copy_retention_days >= 35 && floor(var.s3_copy_retention_days) == var.s3_copy_retention_days, var.s3_copy_retention_days == null)
    error_message = "s3_copy_retention_days must be a whole number from 35, or null to keep copies: until then a late notification would copy, and import, a deleted object again."
  }

  validation {
    condition     = var.s3_copy_retention_days == null || var.import_bucket == null
    error_message = "s3_copy_retention_days is for our own import bucket. Add a lifecycle rule for the prefix s3/ to yours, with an age of at least 35 days."
  }
}
variable "docs_url" {
  description = "Address of the `docs` folder of this project where your team reads it, for links in alerts, such as `https://github.com/OWNER/NAME/blob/v1.0.0/docs`; default: no link."
  type        = string
  default     = null

  validation {
    condition     = var.docs_url == null || can(regex("^https?://[^[:space:]#?]+$", var.docs_url))
    error_message = "docs_url must be a URL that begins with https://, without query and fragment."
  }
}

variable "monitoring_project_id" {
  description = "Project whose metrics scope the dashboard, and alerts on metrics, are made in. Default: the project itself. Alerts on log lines stay in the project of the logs."
  type        = string
  default     = null

  validation {
    condition     = var.monitoring_project_id == null || can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.monitoring_project_id))
    error_message = "monitoring_project_id must be the id of a project: 6 to 30 lower-case letters, digits and hyphens."
  }
}

