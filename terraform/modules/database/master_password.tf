# RDS makes, keeps and rotates the master password. But it makes no read replica of an instance whose password it keeps, so
# with replicas the password is one of ours. Neither plan nor state ever holds it: the database and the secret take it
# write-only, and both are handed the same one, because a local value is worked out once in a run.
locals {
  master_is_managed = var.read_replicas == 0
  master_user       = "leadger_admin"
  master_password   = replace("${uuid()}${uuid()}", "-", "")

  # A write-only value is written again when its version changes: with the password, or with a database that is made anew.
  master_version = parseint(substr(sha256("${aws_db_instance.main.resource_id}:${var.master_password_version}"), 0, 8), 16)
}

resource "aws_secretsmanager_secret" "master" {
  # checkov:skip=CKV_AWS_149: encrypted by Secrets Manager; a key of one's own is the caller's choice (kms_key_arn).
  # checkov:skip=CKV2_AWS_57: rotated by raising master_password_version, so that both sides change together.
  count = local.master_is_managed ? 0 : 1

  name_prefix             = "${var.name}/master-login-"
  description             = "Master login of the database, for the migrate task only"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

resource "aws_secretsmanager_secret_version" "master" {
  count = local.master_is_managed ? 0 : 1

  secret_id                = aws_secretsmanager_secret.master[0].id
  secret_string_wo         = jsonencode({ username = local.master_user, password = local.master_password })
  secret_string_wo_version = local.master_version
}
