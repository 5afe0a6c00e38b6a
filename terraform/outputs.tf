# Where things are, and what to do next.

locals {
  buckets         = "--state gs://${google_storage_bucket.state.name} --dead-letters gs://${google_storage_bucket.dead_letters.name}"
  upload_command  = "gcloud storage cp FILE gs://${local.import_bucket}/${var.object_prefix}"
  publish_command = "gcloud pubsub topics publish ${local.event_topic} --message='{\"event\":\"Hello\",\"properties\":{\"distinct_id\":\"me\",\"time\":'$(date +%s)'}}'"
  dashboard       = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", google_monitoring_dashboard.this.id))[0]}?project=${var.project_id}"
}

output "import_bucket" {
  description = "Bucket whose objects are imported."
  value       = local.import_bucket
}

output "state_bucket" {
  description = "Bucket of the checkpoints, and of dead letters from before they had a bucket of their own."
  value       = google_storage_bucket.state.name
}

output "dead_letter_bucket" {
  description = "Bucket of the dead letters."
  value       = google_storage_bucket.dead_letters.name
}

output "object_topic" {
  description = "Topic that tells of objects; what `npm run backfill` publishes to."
  value       = local.object_topic
}

output "event_topic" {
  description = "Topic whose messages are imported."
  value       = local.event_topic
}

output "event_subscription" {
  description = "Subscription that drainSubscription drains."
  value       = google_pubsub_subscription.event.id
}

output "service_accounts" {
  description = "E-mail addresses of the five accounts: `import`, `drain`, `push`, `scheduler`, `build`."
  value       = { for key, account in google_service_account.this : key => account.email }
}

output "s3_transfer_subject_id" {
  description = "The identity at Google that a role in AWS has to trust; null unless `s3_sources` is given."
  value       = one(module.s3[*].transfer_agent.subject_id)
}

output "upload_command" {
  description = "Uploads a file, which is then imported."
  value       = local.upload_command
}

output "publish_command" {
  description = "Publishes a message, which is then imported."
  value       = local.publish_command
}

output "dashboard" {
  description = "Address of the dashboard."
  value       = local.dashboard
}

output "next_steps" {
  description = "All that in one text, with the commands that look after what was imported."
  value       = <<-EOT
    Upload a file:                  ${local.upload_command}
    Is it in?                       npm run status -- ${local.buckets} gs://${local.import_bucket}/OBJECT
    Publish a message:              ${local.publish_command}
    What could not be imported:     npm run dead-letters -- gs://${google_storage_bucket.dead_letters.name}
    Import what was there before:   npm run backfill -- ${local.buckets} --topic ${local.object_topic} gs://${local.import_bucket}/${var.object_prefix}
    Watch:                          ${local.dashboard}
  EOT
}
