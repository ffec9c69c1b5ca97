locals {
  database_name = "leadger"
  family        = "postgres${split(".", var.engine_version)[0]}"
}

resource "aws_db_subnet_group" "main" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_db_parameter_group" "main" {
  name_prefix = "${var.name}-${local.family}-"
  family      = local.family

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  parameter {
    name  = "log_lock_waits"
    value = "1"
  }

  # Keys are spread over all of an index, so after each checkpoint nearly every row writes whole pages to the log. But the
  # log lies on the same disk: a tenth of it, in MB, and 16 GB at most.
  parameter {
    name  = "max_wal_size"
    value = tostring(min(16384, floor(var.storage_gb * 1024 / 10)))
  }

  parameter {
    name  = "checkpoint_timeout"
    value = "1800"
  }

  # A new major version needs a new group while the old one is still in use.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "main" {
  # checkov:skip=CKV_AWS_133: backup_days is refused below 1; checkov does not follow it through the modules.
  # checkov:skip=CKV_AWS_157: a standby is a question of size (multi_az); production.tfvars has one.
  # checkov:skip=CKV_AWS_293: deletion protection is on unless the environment says otherwise (protected).
  # checkov:skip=CKV_AWS_161: the application has a login of its own; a second way in would only widen the door.
  # checkov:skip=CKV_AWS_354: insights are encrypted by RDS; a key of one's own is the caller's choice (kms_key_arn).
  # checkov:skip=CKV_AWS_118: enhanced monitoring is on unless the environment turns it off (monitoring_interval_s).
  # checkov:skip=CKV2_AWS_69: rds.force_ssl is set in the parameter group above.
  identifier = var.name

  engine                      = "postgres"
  engine_version              = var.engine_version
  auto_minor_version_upgrade  = true
  allow_major_version_upgrade = false
  parameter_group_name        = aws_db_parameter_group.main.name

  instance_class        = var.instance_class
  storage_type          = "gp3"
  allocated_storage     = var.storage_gb
  max_allocated_storage = var.max_storage_gb
  storage_encrypted     = true
  kms_key_id            = var.kms_key_arn

  db_name = local.database_name

  # The password is never in the Terraform state; who keeps it, master_password.tf tells.
  username                      = local.master_user
  manage_master_user_password   = local.master_is_managed ? true : null
  master_user_secret_kms_key_id = local.master_is_managed ? var.kms_key_arn : null
  password_wo                   = local.master_is_managed ? null : local.master_password
  password_wo_version           = local.master_is_managed ? null : var.master_password_version

  multi_az               = var.multi_az
  db_subnet_group_name   = aws_db_subnet_group.main.name
  vpc_security_group_ids = [var.security_group_id]
  publicly_accessible    = false

  backup_retention_period   = var.backup_days
  backup_window             = "02:00-03:00"
  maintenance_window        = "sun:03:30-sun:04:30"
  copy_tags_to_snapshot     = true
  deletion_protection       = var.protected
  skip_final_snapshot       = !var.protected
  final_snapshot_identifier = "${var.name}-final"
  delete_automated_backups  = !var.protected

  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.kms_key_arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
  monitoring_interval             = var.monitoring_interval_s
  monitoring_role_arn             = one(aws_iam_role.monitoring[*].arn)
}

resource "aws_db_instance" "replica" {
  # checkov:skip=CKV_AWS_157: a replica is read from; the standby belongs to the main instance.
  # checkov:skip=CKV_AWS_293: a replica holds nothing that the main instance does not.
  # checkov:skip=CKV_AWS_161: logins are replicated from the main instance.
  # checkov:skip=CKV_AWS_354: as on the main instance.
  # checkov:skip=CKV_AWS_118: as on the main instance.
  # checkov:skip=CKV2_AWS_69: same parameter group, with rds.force_ssl.
  count = var.read_replicas

  identifier          = "${var.name}-replica-${count.index + 1}"
  replicate_source_db = aws_db_instance.main.identifier

  auto_minor_version_upgrade = true
  parameter_group_name       = aws_db_parameter_group.main.name
  instance_class             = var.instance_class
  storage_encrypted          = true
  vpc_security_group_ids     = [var.security_group_id]
  publicly_accessible        = false
  copy_tags_to_snapshot      = true
  skip_final_snapshot        = true

  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.kms_key_arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
  monitoring_interval             = var.monitoring_interval_s
  monitoring_role_arn             = one(aws_iam_role.monitoring[*].arn)
}
