# Buckets in Amazon S3: see docs/s3.md.

module "s3" {
  source = "./modules/s3-source"
  count  = var.s3_sources == null ? 0 : 1

  project_id = var.project_id
  name       = var.name
  labels     = local.labels
  sources    = var.s3_sources
  # By way of the notification: what is copied before there is one would not be imported.
  import_bucket = google_storage_notification.object.bucket
  object_filters = {
    prefix  = var.object_prefix
    include = var.object_include
    exclude = var.object_exclude == null ? null : [for glob in var.object_exclude : glob if glob != "none"]
  }
  enable_api            = var.enable_apis
  manage_iam            = var.manage_iam
  alert                 = var.alerts != null
  notification_channels = var.notification_channels
}
