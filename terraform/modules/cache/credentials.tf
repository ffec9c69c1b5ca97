module "auth_token" {
  source = "../credential"

  name_prefix   = "${var.name}/cache-auth-token-"
  description   = "Token that clients of the cache present"
  generation    = var.auth_token_version
  recovery_days = var.secret_recovery_days
  kms_key_arn   = var.kms_key_arn
}

# ElastiCache has no write-only argument for its token, so this look-up and the replication group it feeds are the one
# place where the state holds a secret.
data "aws_secretsmanager_secret_version" "auth_token" {
  secret_id  = module.auth_token.arn
  version_id = module.auth_token.version_id
}

# What the tasks take as REDIS_URL.
resource "aws_secretsmanager_secret" "url" {
  # checkov:skip=CKV_AWS_149: encrypted by Secrets Manager; a key of one's own is the caller's choice (kms_key_arn).
  # checkov:skip=CKV2_AWS_57: follows the token above.
  name_prefix             = "${var.name}/redis-url-"
  description             = "REDIS_URL with the token in it"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

locals {
  host = aws_elasticache_replication_group.main.primary_endpoint_address
  port = aws_elasticache_replication_group.main.port

  # Celery refuses a rediss:// URL that does not say how certificates are checked.
  url = "rediss://:${data.aws_secretsmanager_secret_version.auth_token.secret_string}@${local.host}:${local.port}/0?ssl_cert_reqs=required"

  # A write-only value is written again when its version changes: with the token, or with the address.
  url_version = parseint(substr(sha256("${local.host}:${local.port}:${var.auth_token_version}"), 0, 8), 16)
}

resource "aws_secretsmanager_secret_version" "url" {
  secret_id                = aws_secretsmanager_secret.url.id
  secret_string_wo         = local.url
  secret_string_wo_version = local.url_version
}
