# The whole of Leadger from the nine modules beside this one. The tasks are in tasks.tf.
data "aws_caller_identity" "current" {}

locals {
  listener_port        = var.gateway.certificate == null ? 80 : 443
  api_port             = 8000
  flower_port          = 5555
  secret_recovery_days = var.protected ? 30 : 0
}

module "network" {
  source = "../network"

  name                    = var.name
  zones                   = var.network.zones
  cidr                    = var.network.cidr
  egress                  = var.network.egress
  listener_port           = local.listener_port
  api_port                = local.api_port
  collector               = local.collector
  mail_port               = try(var.mail.port, null)
  flow_log_retention_days = var.log_retention_days
  kms_key_arn             = var.kms_key_arn
}

module "database" {
  source = "../database"

  name                    = var.name
  subnet_ids              = module.network.private_subnet_ids
  security_group_id       = module.network.security_group_ids["database"]
  engine_version          = var.database.engine_version
  instance_class          = var.database.instance_class
  storage_gb              = var.database.storage_gb
  max_storage_gb          = var.database.max_storage_gb
  multi_az                = var.database.multi_az
  read_replicas           = var.database.read_replicas
  master_password_version = var.database.master_password_version
  backup_days             = var.database.backup_days
  monitoring_interval_s   = var.database.monitoring_interval_s
  protected               = var.protected
  secret_recovery_days    = local.secret_recovery_days
  kms_key_arn             = var.kms_key_arn
}

module "cache" {
  source = "../cache"

  name                 = var.name
  subnet_ids           = module.network.private_subnet_ids
  security_group_id    = module.network.security_group_ids["cache"]
  node_type            = var.cache.node_type
  nodes                = var.cache.nodes
  snapshot_days        = var.cache.snapshot_days
  auth_token_version   = var.cache.auth_token_version
  secret_recovery_days = local.secret_recovery_days
  kms_key_arn          = var.kms_key_arn
}

module "registry" {
  source = "../registry"

  name           = var.name
  immutable_tags = var.protected
  protected      = var.protected
  kms_key_arn    = var.kms_key_arn
}

module "storage" {
  source = "../storage"

  bucket      = "${var.name}-reports-${data.aws_caller_identity.current.account_id}"
  protected   = var.protected
  kms_key_arn = var.kms_key_arn
}

module "cluster" {
  source = "../cluster"

  name = var.name
}

module "gateway" {
  source = "../gateway"

  name                            = var.name
  vpc_id                          = module.network.vpc_id
  subnet_ids                      = module.network.private_subnet_ids
  gateway_security_group_id       = module.network.security_group_ids["gateway"]
  load_balancer_security_group_id = module.network.security_group_ids["load_balancer"]
  listener_port                   = local.listener_port
  api_port                        = local.api_port
  requests_per_s                  = var.gateway.requests_per_s
  burst_requests                  = var.gateway.burst_requests
  public_routes                   = var.gateway.public_routes
  certificate                     = var.gateway.certificate
  protected                       = var.protected
  log_retention_days              = var.log_retention_days
  kms_key_arn                     = var.kms_key_arn
}

module "observability" {
  source = "../observability"

  name                       = var.name
  alarm_emails               = var.alarm_emails
  cluster_name               = module.cluster.name
  database_identifier        = module.database.identifier
  replica_identifiers        = module.database.replica_identifiers
  database_storage_gb        = var.database.storage_gb
  database_connections_alarm = var.database.connections_alarm
  cache_node_ids             = module.cache.node_ids
  gateway_api_id             = module.gateway.api_id
  load_balancer              = module.gateway.load_balancer
  target_group               = module.gateway.target_group
  inbox_age_alarm_s          = var.inbox_age_alarm_s

  service_log_groups = {
    api        = module.api.log_group
    worker     = module.worker.log_group
    background = module.background.log_group
    beat       = module.beat.log_group
    flower     = module.flower.log_group
    migrate    = module.migrate.log_group
  }
}
