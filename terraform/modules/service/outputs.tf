output "name" {
  description = "Name of the service, or of the one-off task."
  value       = var.role
}

output "task_definition_arn" {
  description = "The task definition with its revision."
  value       = aws_ecs_task_definition.main.arn
}

output "log_group" {
  description = "Log group of the containers."
  value       = aws_cloudwatch_log_group.main.name
}

output "task_role_arn" {
  description = "Role of the containers."
  value       = aws_iam_role.task.arn
}
