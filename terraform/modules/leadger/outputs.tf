output "url" {
  description = "Public address of the api."
  value       = module.gateway.url
}

output "registry_url" {
  description = "Where the image is pushed to."
  value       = module.registry.url
}

output "cluster_name" {
  description = "The ECS cluster."
  value       = module.cluster.name
}

output "report_files_bucket" {
  description = "Bucket of the report files."
  value       = module.storage.bucket
}

output "dashboard" {
  description = "The CloudWatch dashboard."
  value       = module.observability.dashboard
}

output "alarm_topic_arn" {
  description = "Topic that alarms are sent to."
  value       = module.observability.alarm_topic_arn
}

output "flower_login_secret_arn" {
  description = "Secret with Flower's user:password."
  value       = module.flower_login.arn
}

output "application_login_secret_arn" {
  description = "Secret with DATABASE_URL of the application; empty until the migrate task has run."
  value       = module.database.application_secret_arn
}

# `aws ecs run-task --cli-input-json` takes these as they are.
locals {
  run = {
    for role, task in { migrate = module.migrate, console = module.console } : role => {
      cluster                   = module.cluster.name
      taskDefinition            = task.task_definition_arn
      launchType                = "FARGATE"
      networkConfiguration = {
        awsvpcConfiguration = {
          subnets        = module.network.private_subnet_ids
          securityGroups = [module.network.security_group_ids[role]]
          assignPublicIp = "DISABLED"
        }
      }
    }
  }
}

output "migrate_run" {
  description = "The request that runs the migrate task."
  value       = local.run["migrate"]
}

output "console_run" {
  description = "The request that starts a console."
  value       = merge(local.run["console"], { enableExecuteCommand = true })
}

# What holds data: a new value means that it was made anew and is empty.
output "data_ids" {
  description = "Identities of the database and of the bucket of report files."
  value = {
    database     = module.database.resource_id
    report_files = module.storage.arn
  }
}
