resource "aws_elasticache_subnet_group" "main" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_elasticache_parameter_group" "main" {
  name   = "${var.name}-${var.family}"
  family = var.family

  # A broker must refuse a message it cannot keep, not forget another one.
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_elasticache_replication_group" "main" {
  # checkov:skip=CKV_AWS_191: encrypted at rest by ElastiCache; a key of one's own is the caller's choice (kms_key_arn).
  # checkov:skip=CKV2_AWS_50: fails over by itself from two nodes on; a single node is a question of size (nodes).
  replication_group_id = var.name
  description          = "Leadger's notifications: messages of Celery"

  engine               = var.engine
  engine_version       = var.engine_version
  parameter_group_name = aws_elasticache_parameter_group.main.name
  node_type            = var.node_type
  port                 = 6379

  # Celery's transport moves messages between keys in one step, which a sharded keyspace cannot do.
  cluster_mode               = "disabled"
  num_cache_clusters         = var.nodes
  automatic_failover_enabled = var.nodes > 1
  multi_az_enabled           = var.nodes > 1

  subnet_group_name  = aws_elasticache_subnet_group.main.name
  security_group_ids = [var.security_group_id]

  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arn
  transit_encryption_enabled = true

  # ROTATE adds the new token beside the old one, so tasks that still hold the old one go on.
  auth_token                 = data.aws_secretsmanager_secret_version.auth_token.secret_string
  auth_token_update_strategy = "ROTATE"

  auto_minor_version_upgrade = true
  maintenance_window         = "sun:04:30-sun:05:30"
  snapshot_retention_limit   = var.snapshot_days
  apply_immediately          = true
}
