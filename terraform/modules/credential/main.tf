# A random secret that goes straight to Secrets Manager: neither the plan nor the state ever holds it. A write-only value
# is sent when its version changes and forgotten; uuid() is drawn anew each time from the system's secure random source,
# and two of them are 244 random bits in letters that are safe in a URL.
resource "aws_secretsmanager_secret" "main" {
  # checkov:skip=CKV_AWS_149: encrypted by Secrets Manager; a key of one's own is the caller's choice (kms_key_arn).
  # checkov:skip=CKV2_AWS_57: rotated by raising the generation, so that both sides change together.
  name_prefix             = var.name_prefix
  description             = var.description
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_days
}

resource "aws_secretsmanager_secret_version" "main" {
  secret_id                = aws_secretsmanager_secret.main.id
  secret_string_wo         = "${var.value_prefix}${replace("${uuid()}${uuid()}", "-", "")}"
  secret_string_wo_version = var.generation
}
