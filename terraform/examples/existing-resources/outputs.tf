output "import_bucket" {
  description = "Bucket whose objects are imported."
  value       = module.ingestion.import_bucket
}

output "state_bucket" {
  description = "Bucket of the checkpoints."
  value       = module.ingestion.state_bucket
}

output "dead_letter_bucket" {
  description = "Bucket of the dead letters."
  value       = module.ingestion.dead_letter_bucket
}

output "event_topic" {
  description = "Topic whose messages are imported."
  value       = module.ingestion.event_topic
}

output "next_steps" {
  description = "What to do next."
  value       = module.ingestion.next_steps
}
