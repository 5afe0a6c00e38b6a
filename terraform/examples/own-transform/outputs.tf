output "next_steps" {
  description = "What to do next, with the commands."
  value       = module.ingestion.next_steps
}

output "version" {
  description = "What is deployed."
  value       = module.ingestion.version
}
