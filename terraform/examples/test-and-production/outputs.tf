output "next_steps" {
  description = "What to do next with each instance."
  value       = { for name, instance in module.ingestion : name => instance.next_steps }
}
