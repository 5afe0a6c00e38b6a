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

variable "import_bucket" {
  description = "An existing bucket to import from, and the project that it is in; a new one unless given."
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
  description = "Only objects whose names begin so are imported; all unless given."
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
  description = "An existing topic to import from, as `projects/P/topics/T`; a new one unless given. Another topic means another subscription: drain the old one first."
  type        = string
  default     = null

  validation {
    condition     = var.event_topic == null || can(regex("^projects/[^/[:space:]]+/topics/[^/[:space:]]+$", var.event_topic))
    error_message = "event_topic must be projects/P/topics/T."
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
  description = "The service account's secret, or the project token. Give it as `TF_VAR_mixpanel_secret`, never in a file; it is in no state and no plan. Every plan, apply and destroy asks for it."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = try(length(trimspace(var.mixpanel_secret)) > 0, false) != (var.mixpanel_secret_version != null)
    error_message = "Either mixpanel_secret must be given, by the environment variable TF_VAR_mixpanel_secret, or mixpanel_secret_version, and not both."
  }
}

variable "mixpanel_secret_revision" {
  description = "Raise it to have `mixpanel_secret` written anew."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.mixpanel_secret_revision >= 1 && floor(var.mixpanel_secret_revision) == var.mixpanel_secret_revision
    error_message = "mixpanel_secret_revision must be a whole number from 1."
  }
}

variable "mixpanel_secret_version" {
  description = "Version of an existing secret to use in place of `mixpanel_secret`, as `projects/P/secrets/S/versions/N`."
  type        = string
  default     = null

  validation {
    condition     = var.mixpanel_secret_version == null || can(regex("^projects/[^/[:space:]]+/secrets/[^/[:space:]]+/versions/[0-9]+$", var.mixpanel_secret_version))
    error_message = "mixpanel_secret_version must be projects/P/secrets/S/versions/N, N being a number."
  }
}

locals {
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
  description = "Days after which dead letters are deleted for good; they are kept unless given."
  type        = number
  default     = null

  validation {
    condition     = try(var.dead_letter_retention_days >= 1 && floor(var.dead_letter_retention_days) == var.dead_letter_retention_days, var.dead_letter_retention_days == null)
    error_message = "dead_letter_retention_days must be a whole number from 1, or null to keep dead letters."
  }
}

variable "alerts" {
  description = "Whether alert policies are made."
  type        = bool
  default     = true
  nullable    = false
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

variable "max_backlog_minutes" {
  description = "Age of the oldest unacknowledged message of either subscription above which an alert is raised."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.max_backlog_minutes >= 5 && var.max_backlog_minutes <= 10080
    error_message = "max_backlog_minutes must be from 5 to 10080, which is a week."
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
  description = "Days after which copies of objects in Amazon S3 are deleted from our import bucket, from 35; they are kept unless given."
  type        = number
  default     = null

  # SQS keeps a notification for 14 days, and for 14 more if it is moved back from the dead-letter queue. After that
  # nothing copies the same version again.
  validation {
    condition     = try(var.s3_copy_retention_days >= 35 && floor(var.s3_copy_retention_days) == var.s3_copy_retention_days, var.s3_copy_retention_days == null)
    error_message = "s3_copy_retention_days must be a whole number from 35, or null to keep copies: until then a late notification would copy, and import, a deleted object again."
  }

  validation {
    condition     = var.s3_copy_retention_days == null || var.import_bucket == null
    error_message = "s3_copy_retention_days is for our own import bucket. Add a lifecycle rule for the prefix s3/ to yours, with an age of at least 35 days."
  }
}
