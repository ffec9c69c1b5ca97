output "url" {
  description = "Public address of the api."
  value       = module.leadger.url
}

output "registry_url" {
  description = "Where the image is pushed to."
  value       = module.leadger.registry_url
}

output "cluster_name" {
  description = "The ECS cluster."
  value       = module.leadger.cluster_name
}

output "report_files_bucket" {
  description = "Bucket of the report files."
  value       = module.leadger.report_files_bucket
}

output "dashboard" {
  description = "The CloudWatch dashboard."
  value       = module.leadger.dashboard
}

output "github_webhook" {
  description = "Where GitHub sends its webhook, and the secret that it signs with; null where none starts runs."
  value       = module.leadger.github_webhook
}

output "flower_login_secret_arn" {
  description = "Secret with Flower's user:password."
  value       = module.leadger.flower_login_secret_arn
}

output "application_login_secret_arn" {
  description = "Secret with DATABASE_URL of the application; empty until the migrate task has run."
  value       = module.leadger.application_login_secret_arn
}

output "migrate_run" {
  description = "The request that runs the migrate task, for `aws ecs run-task --cli-input-json`."
  value       = module.leadger.migrate_run
}

output "command_run" {
  description = "The request that runs a command, for `aws ecs run-task --cli-input-json`; scripts/on-aws uses it."
  value       = module.leadger.command_run
}
