# What the Amazon side needs to know, and where copies go.

output "transfer_agent" {
  description = "The project's transfer agent: `email`, and the `subject_id` that the role in AWS trusts."
  value = {
    email      = data.google_storage_transfer_project_service_account.agent.email
    subject_id = data.google_storage_transfer_project_service_account.agent.subject_id
  }
}

output "destinations" {
  description = "Where the copies of each source are."
  value       = { for key, path in local.paths : key => "gs://${var.import_bucket}/${path}" }
}

output "jobs" {
  description = "Names of the transfer jobs of each source."
  value       = local.jobs
}
