output "id" {
  description = "Id of the replication group."
  value       = aws_elasticache_replication_group.main.id
}

output "node_ids" {
  description = "Ids of the nodes; CloudWatch keeps its figures per node."
  value       = [for number in range(var.nodes) : format("%s-%03d", aws_elasticache_replication_group.main.replication_group_id, number + 1)]
}

output "url_secret_arn" {
  description = "Secret with REDIS_URL."
  value       = aws_secretsmanager_secret.url.arn

  # A task that reads the secret before it has a value would not start.
  depends_on = [aws_secretsmanager_secret_version.url]
}
