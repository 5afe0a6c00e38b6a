# Where things are, and what to do next.

locals {
  buckets         = "--state gs://${local.state_bucket} --dead-letters gs://${local.dead_letter_bucket}"
  upload_command  = "gcloud storage cp FILE gs://${local.import_bucket}/${var.object_prefix}"
  publish_command = "gcloud pubsub topics publish ${local.event_topic} --message='{\"event\":\"Hello\",\"properties\":{\"distinct_id\":\"me\",\"time\":'$(date +%s)'}}'"
  dashboard       = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", google_monitoring_dashboard.this.id))[0]}?project=${local.monitoring_project}"
  paused_note     = var.paused ? "PAUSED: nothing is imported until paused = false is applied; what arrives waits for up to 31 days.\n" : ""
  pause_commands = concat(
    [for job in google_cloud_scheduler_job.drain : "gcloud scheduler jobs pause ${job.name} --location=${var.region} --project=${var.project_id}"],
    ["gcloud pubsub subscriptions modify-push-config ${local.object_subscription} --push-endpoint="],
  )
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

output "object_subscription" {
  description = "Subscription that pushes notifications to importObject."
  value       = google_pubsub_subscription.object.id
}

output "service_accounts" {
  description = "E-mail addresses of the five accounts: `import`, `drain`, `push`, `scheduler`, `build`."
  value       = local.emails
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

output "version" {
  description = "Version of the module and of what is deployed, and the hash of the archive that is built."
  value       = "${local.package.version} ${data.archive_file.source.output_sha256}"
}

output "paused" {
  description = "Whether everything is stopped; what arrives then waits for up to 31 days."
  value       = var.paused
}

output "pause_commands" {
  description = "Stop everything now, without Terraform; set `paused = true` after that, or the next apply resumes."
  value       = join("\n", local.pause_commands)
}

output "next_steps" {
  description = "All that in one text, with the commands that look after what was imported."
  value       = <<-EOT
    ${local.paused_note}Upload a file:                  ${local.upload_command}
    Is it in?                       npm run status -- ${local.buckets} gs://${local.import_bucket}/OBJECT
    Publish a message:              ${local.publish_command}
    What could not be imported:     npm run dead-letters -- gs://${local.dead_letter_bucket}
    Import what was there before:   npm run backfill -- ${local.buckets} --topic ${local.object_topic} gs://${local.import_bucket}/${var.object_prefix}
    Watch:                          ${local.dashboard}
  EOT
}
