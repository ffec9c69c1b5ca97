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

output "github_webhook" {
  description = "Where GitHub sends its webhook, and the secret that it signs with; null where none starts runs."
  value = var.billing.github_repository == null ? null : {
    url        = "${module.gateway.url}/api/billing-scheduler/github-webhook"
    secret_arn = module.github_webhook_secret[0].arn
  }
}

output "application_login_secret_arn" {
  description = "Secret with DATABASE_URL of the application; empty until the migrate task has run."
  value       = module.database.application_secret_arn
}

# `aws ecs run-task --cli-input-json` takes these as they are. Each is written out: one that also named another task would
# not be brought up to date by an apply with -target for its own.
output "migrate_run" {
  description = "The request that runs the migrate task."
  value = {
    cluster        = module.cluster.name
    taskDefinition = module.migrate.task_definition_arn
    launchType     = "FARGATE"
    networkConfiguration = {
      awsvpcConfiguration = {
        subnets        = module.network.private_subnet_ids
        securityGroups = [module.network.security_group_ids["migrate"]]
        assignPublicIp = "DISABLED"
      }
    }
  }
}

output "command_run" {
  description = "The request that runs a command."
  value = {
    cluster        = module.cluster.name
    taskDefinition = module.command.task_definition_arn
    launchType     = "FARGATE"
    networkConfiguration = {
      awsvpcConfiguration = {
        subnets        = module.network.private_subnet_ids
        securityGroups = [module.network.security_group_ids["command"]]
        assignPublicIp = "DISABLED"
      }
    }
  }
}

# What holds data: a new value means that it was made anew and is empty.
output "data_ids" {
  description = "Identities of the database and of the bucket of report files."
  value = {
    database     = module.database.resource_id
    report_files = module.storage.arn
  }
}
