output "import_bucket" {
  description = "Bucket whose objects are imported."
  value       = module.ingestion.import_bucket
}

output "state_bucket" {
  description = "Bucket of the checkpoints and dead letters."
  value       = module.ingestion.state_bucket
}

output "event_topic" {
  description = "Topic whose messages are imported."
  value       = module.ingestion.event_topic
}

output "next_steps" {
  description = "What to do next."
  value       = module.ingestion.next_steps
}
