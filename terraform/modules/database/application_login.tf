# The whole DATABASE_URL of the application's own login. RDS rotates the master password while tasks still hold the
# old one, so tasks never use it. Terraform makes the empty secret; the migrate task makes the login and writes the value.
resource "aws_secretsmanager_secret" "application_login" {
  # checkov:skip=CKV_AWS_149: encrypted by Secrets Manager; a key of one's own is the caller's choice (kms_key_arn).
  # checkov:skip=CKV2_AWS_57: rotated by running the migrate task with --rotate; a Lambda would need a way into the database.
  name_prefix             = "${var.name}/database-url-"
  description             = "DATABASE_URL of the application login; written by the migrate task"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}
