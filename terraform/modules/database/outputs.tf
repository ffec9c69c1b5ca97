output "identifier" {
  description = "Identifier of the main instance."
  value       = aws_db_instance.main.identifier
}

output "resource_id" {
  description = "Never changes while the instance lives: a new value is a new, empty database."
  value       = aws_db_instance.main.resource_id
}

output "address" {
  description = "Host name of the main instance."
  value       = aws_db_instance.main.address
}

output "port" {
  description = "Port of the main instance."
  value       = aws_db_instance.main.port
}

output "database_name" {
  description = "Name of the database in the instance."
  value       = local.database_name
}

output "replica_identifiers" {
  description = "Identifiers of the read replicas."
  value       = aws_db_instance.replica[*].identifier
}

output "replica_addresses" {
  description = "Host names of the read replicas."
  value       = aws_db_instance.replica[*].address
}

output "master_secret_arn" {
  description = "Secret with the keys username and password of the master login; for the migrate task only."
  value       = local.master_is_managed ? aws_db_instance.main.master_user_secret[0].secret_arn : aws_secretsmanager_secret.master[0].arn

  # A task that reads the secret before it has a value would not start.
  depends_on = [aws_secretsmanager_secret_version.master]
}

output "application_secret_arn" {
  description = "Secret with the DATABASE_URL of the application login."
  value       = aws_secretsmanager_secret.application_login.arn
}
