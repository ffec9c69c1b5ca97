output "arn" {
  description = "ARN of the secret."
  value       = aws_secretsmanager_secret.main.arn

  # A task that reads the secret before it has a value would not start.
  depends_on = [aws_secretsmanager_secret_version.main]
}

output "version_id" {
  description = "Changes whenever the value does."
  value       = aws_secretsmanager_secret_version.main.version_id
}
