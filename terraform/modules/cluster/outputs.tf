output "name" {
  description = "Name of the cluster."
  value       = aws_ecs_cluster.main.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_ecs_cluster.main.arn
}
