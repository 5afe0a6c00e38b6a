# The map of sources, and what the deployment that they belong to is like.

variable "project_id" {
  description = "Google Cloud project that the transfer jobs are made in."
  type        = string
}

variable "name" {
  description = "The deployment, as descriptions of jobs and the alert name it."
  type        = string
}

variable "labels" {
  description = "Labels of the alert policy."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "import_bucket" {
  description = "Bucket that objects are copied to, below `s3/BUCKET/`."
  type        = string
}

variable "object_filters" {
  description = "Which objects of the bucket are imported: `prefix`, and the globs `include` and `exclude`; null for all. All copies must be among them."
  type        = object({ prefix = optional(string), include = optional(list(string)), exclude = optional(list(string)) })
  default     = {}
  nullable    = false
}

variable "enable_api" {
  description = "Whether the API is enabled; false where somebody else does."
  type        = bool
  default     = true
  nullable    = false
}

variable "manage_iam" {
  description = "Whether the transfer agent is let in on the bucket; false where somebody else does."
  type        = bool
  default     = true
  nullable    = false
}

variable "sources" {
  description = "Buckets in Amazon S3, by a name of your choice."
  type = map(object({
    bucket        = string
    role_arn      = string
    queue_arn     = string
    prefixes      = optional(list(string), [])
    copy_existing = optional(bool, false)
    enabled       = optional(bool, true)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.sources) : can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", key))])
    error_message = "The keys of s3_sources must be at most 40 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen."
  }

  validation {
    condition     = alltrue([for source in var.sources : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", source.bucket))])
    error_message = "s3_sources: bucket must be the name of a bucket, without s3:// and without a path."
  }

  validation {
    condition     = !anytrue([for source in var.sources : can(regex("^arn:aws-cn:", source.role_arn)) || can(regex("^arn:aws-cn:", source.queue_arn))])
    error_message = "s3_sources: Storage Transfer Service does not reach buckets in China (arn:aws-cn). Import them with `npm run import -- s3://BUCKET/…`."
  }

  validation {
    condition     = alltrue([for source in var.sources : can(regex("^arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", source.role_arn))])
    error_message = "s3_sources: role_arn must be the ARN of a role, such as arn:aws:iam::123456789012:role/NAME: the output RoleArn of the CloudFormation stack."
  }

  validation {
    condition     = alltrue([for source in var.sources : can(regex("^arn:aws(-us-gov|-cn)?:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", source.queue_arn))])
    error_message = "s3_sources: queue_arn must be the ARN of a standard queue, such as arn:aws:sqs:eu-west-1:123456789012:NAME: the output QueueArn of the CloudFormation stack. S3 does not notify FIFO queues."
  }

  validation {
    condition = alltrue([
      for source in var.sources :
      try(split(":", source.role_arn)[1] == split(":", source.queue_arn)[1] && split(":", source.role_arn)[4] == split(":", source.queue_arn)[4], true)
    ])
    error_message = "s3_sources: role_arn and queue_arn must be of one partition and one account."
  }

  validation {
    condition = alltrue([
      for source in var.sources : length(source.prefixes) <= 1000 && alltrue([
        for prefix in source.prefixes : length(prefix) > 0 && length(prefix) <= 1024 && !startswith(prefix, "/") && !startswith(prefix, "s3:") && !can(regex("[*?]", prefix))
      ])
    ])
    error_message = "s3_sources: prefixes must be at most 1,000 beginnings of keys, such as events/, without s3://, without a slash at the start and without * and ?."
  }

  validation {
    condition = alltrue([
      for source in var.sources : alltrue([
        for pair in setproduct(source.prefixes, source.prefixes) : pair[0] == pair[1] || !startswith(pair[0], pair[1])
      ])
    ])
    error_message = "s3_sources: none of the prefixes can begin with another one of the same source."
  }

  validation {
    condition     = length(distinct([for source in var.sources : source.queue_arn])) == length(var.sources)
    error_message = "s3_sources: each source needs a queue_arn of its own. Two jobs on one queue would each get half of the notifications."
  }
}

variable "alert" {
  description = "Whether an alert policy for failed transfers is made."
  type        = bool
  default     = true
  nullable    = false
}

variable "notification_channels" {
  description = "Notification channels that the alert goes to."
  type        = list(string)
  default     = []
  nullable    = false
}
