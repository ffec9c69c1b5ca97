# Seven kinds of task of one image. Six are words of compose/start, the same as in compose/compose.yaml.
locals {
  image = "${module.registry.url}:${var.image_tag}"

  # Every container has this much in common.
  common = merge(
    { LOG_LEVEL = var.log_level },
    var.extra_environment,
  )

  report_files = { LEADGER_REPORT_FILES_URL = "s3://${module.storage.bucket}/reports" }

  # Where people reach the API: links begin with it, and where it is https their cookies are Secure.
  links = { API_BASE_URL = module.gateway.url }

  # Runs of the monthly billing, and the webhook that may start them.
  billing = merge(
    { BILLING_SCHEDULER_ENABLED = tostring(var.billing.scheduler_enabled) },
    var.billing.github_repository == null ? {} : {
      LEADGER_GITHUB_REPOSITORY = var.billing.github_repository
      LEADGER_GITHUB_BRANCH     = var.billing.github_branch
    },
  )
  webhook_secret_arns = module.github_webhook_secret[*].arn
  webhook_secrets     = { for arn in local.webhook_secret_arns : "GITHUB_WEBHOOK_SECRET" => arn }

  # beat and flower speak to the cache only, and are given no way into the database. The settings ask for an address.
  no_database = { DATABASE_URL = "postgresql://none.invalid/none" }

  database_url  = module.database.application_secret_arn
  redis_url     = module.cache.url_secret_arn
  master_secret = module.database.master_secret_arn

  write_application_login = {
    Sid      = "WriteApplicationLogin"
    Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
    Resource = [module.database.application_secret_arn]
  }

  list_report_files  = { Sid = "ListReportFiles", Action = ["s3:ListBucket"], Resource = [module.storage.arn] }
  read_report_files  = { Sid = "ReadReportFiles", Action = ["s3:GetObject"], Resource = ["${module.storage.arn}/reports/*"] }
  write_report_files = { Sid = "WriteReportFiles", Action = ["s3:PutObject", "s3:AbortMultipartUpload"], Resource = ["${module.storage.arn}/reports/*"] }
  keep_backups       = { Sid = "KeepBackups", Action = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], Resource = ["${module.storage.arn}/backups/*"] }
  read_backups       = { Sid = "ReadBackups", Action = ["s3:GetObject"], Resource = ["${module.storage.arn}/backups/*"] }
}

module "api" {
  source = "../service"

  name              = var.name
  role              = "api"
  cluster_name      = module.cluster.name
  image             = local.image
  repository_arn    = module.registry.arn
  cpu               = var.api.cpu
  memory_mb         = var.api.memory_mb
  cpu_architecture  = var.cpu_architecture
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["api"]
  keep_revisions    = var.protected

  command = ["api", "--workers", tostring(var.api.processes)]

  environment     = merge(local.common, local.traces, local.report_files, local.links, local.billing, local.reminders, { GRANIAN_PORT = tostring(local.api_port) })
  secrets         = merge({ DATABASE_URL = local.database_url, REDIS_URL = local.redis_url }, local.traces_secrets, local.webhook_secrets, var.secret_settings)
  secret_arns     = concat([local.database_url, local.redis_url], local.traces_secret_arns, local.webhook_secret_arns, values(var.secret_settings))
  task_statements = [local.list_report_files, local.read_report_files]

  port                = local.api_port
  target_group_arn    = module.gateway.target_group_arn
  request_count_label = module.gateway.request_count_label
  tasks               = var.api.min
  scaling             = { min = var.api.min, max = var.api.max, requests_per_minute = var.api.requests_per_minute }
  stop_timeout_s      = 60

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
}

module "worker" {
  source = "../service"

  name              = var.name
  role              = "worker"
  cluster_name      = module.cluster.name
  image             = local.image
  repository_arn    = module.registry.arn
  cpu               = var.worker.cpu
  memory_mb         = var.worker.memory_mb
  cpu_architecture  = var.cpu_architecture
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["worker"]
  keep_revisions    = var.protected

  command = ["worker", "--concurrency", tostring(var.worker.concurrency)]

  environment     = merge(local.common, local.traces, local.report_files)
  secrets         = merge({ DATABASE_URL = local.database_url, REDIS_URL = local.redis_url }, local.traces_secrets, var.secret_settings)
  secret_arns     = concat([local.database_url, local.redis_url], local.traces_secret_arns, values(var.secret_settings))
  task_statements = [local.list_report_files, local.read_report_files, local.write_report_files]

  tasks            = var.worker.min
  scaling          = { min = var.worker.min, max = var.worker.max, inbox_age_s = var.worker.inbox_age_s }
  inbox_age_metric = { namespace = "Leadger/${var.name}", name = "InboxAge" }
  stop_timeout_s   = 120

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
}

# Closing, rebuilding, re-evaluating and writing report files, so that leads do not wait for them. What is in its queue
# waits; the database says what that is, so one task more or less loses nothing.
module "background" {
  source = "../service"

  name              = var.name
  role              = "background"
  cluster_name      = module.cluster.name
  image             = local.image
  repository_arn    = module.registry.arn
  cpu               = var.background.cpu
  memory_mb         = var.background.memory_mb
  cpu_architecture  = var.cpu_architecture
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["background"]
  keep_revisions    = var.protected

  command = ["background", "--concurrency", tostring(var.background.concurrency)]

  environment     = merge(local.common, local.traces, local.report_files, local.links, local.billing, local.mail, local.reminders)
  secrets         = merge({ DATABASE_URL = local.database_url, REDIS_URL = local.redis_url }, local.traces_secrets, local.mail_secrets, var.secret_settings)
  secret_arns     = concat([local.database_url, local.redis_url], local.traces_secret_arns, local.mail_secret_arns, values(var.secret_settings))
  task_statements = [local.list_report_files, local.read_report_files, local.write_report_files]

  stop_timeout_s = 120

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
}

module "beat" {
  source = "../service"

  name              = var.name
  role              = "beat"
  cluster_name      = module.cluster.name
  image             = local.image
  repository_arn    = module.registry.arn
  cpu_architecture  = var.cpu_architecture
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["beat"]
  keep_revisions    = var.protected
  singleton         = true

  command     = ["beat"]
  environment = merge(local.common, local.traces, local.no_database)
  secrets     = merge({ REDIS_URL = local.redis_url }, local.traces_secrets)
  secret_arns = concat([local.redis_url], local.traces_secret_arns)

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
}

module "github_webhook_secret" {
  source = "../credential"
  count  = var.billing.github_repository == null ? 0 : 1

  name_prefix   = "${var.name}/github-webhook-"
  description   = "What GitHub signs the webhook with that starts runs"
  generation    = var.billing.secret_version
  recovery_days = local.secret_recovery_days
  kms_key_arn   = var.kms_key_arn
}

module "flower_login" {
  source = "../credential"

  name_prefix   = "${var.name}/flower-login-"
  description   = "user:password for Flower's page"
  value_prefix  = "flower:"
  generation    = var.flower_login_version
  recovery_days = local.secret_recovery_days
  kms_key_arn   = var.kms_key_arn
}

# Flower has no way in from outside: an operator opens a tunnel with ECS Exec, and then still needs the password.
module "flower" {
  source = "../service"

  name              = var.name
  role              = "flower"
  cluster_name      = module.cluster.name
  image             = local.image
  repository_arn    = module.registry.arn
  cpu_architecture  = var.cpu_architecture
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["flower"]
  keep_revisions    = var.protected
  port              = local.flower_port
  exec              = true

  command     = ["flower"]
  environment = merge(local.common, local.no_database, { FLOWER_PORT = tostring(local.flower_port) })
  secrets     = { REDIS_URL = local.redis_url, FLOWER_BASIC_AUTH = module.flower_login.arn }
  secret_arns = [local.redis_url, module.flower_login.arn]

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
}

# Run by hand or by the deployment, before the services take a new image. It alone knows the master password, and it
# writes DATABASE_URL of the application's own login into the secret that the others read. A restore, which needs the
# owner of the tables, is this task with other words.
module "migrate" {
  source = "../service"

  name              = var.name
  role              = "migrate"
  cluster_name      = module.cluster.name
  image             = local.image
  repository_arn    = module.registry.arn
  cpu               = 1024
  memory_mb         = 2048
  cpu_architecture  = var.cpu_architecture
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["migrate"]
  one_off           = true
  keep_revisions    = var.protected
  stop_timeout_s    = 120

  command = ["migrate", "--application-login"]

  environment = merge(local.common, local.report_files, {
    LEADGER_DATABASE_HOST                = module.database.address
    LEADGER_DATABASE_PORT                = tostring(module.database.port)
    LEADGER_DATABASE_NAME                = module.database.database_name
    LEADGER_APPLICATION_LOGIN_SECRET_ARN = module.database.application_secret_arn
  })

  secrets = {
    LEADGER_DATABASE_ADMIN_USER     = "${local.master_secret}:username::"
    LEADGER_DATABASE_ADMIN_PASSWORD = "${local.master_secret}:password::"
  }

  secret_arns = [local.master_secret]

  task_statements = [local.write_application_login, local.list_report_files, local.write_report_files, local.read_backups]

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
}

# Run by hand, with any command of `leadger` in place of its own: a backup, the first key. Nobody but tasks can reach the
# database.
module "command" {
  source = "../service"

  name              = var.name
  role              = "command"
  cluster_name      = module.cluster.name
  image             = local.image
  repository_arn    = module.registry.arn
  cpu               = 1024
  memory_mb         = 2048
  cpu_architecture  = var.cpu_architecture
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["command"]
  one_off           = true
  keep_revisions    = var.protected
  stop_timeout_s    = 120

  command = ["leadger", "doctor"]

  environment     = merge(local.common, local.report_files, { LEADGER_URL = module.gateway.url })
  secrets         = { DATABASE_URL = local.database_url, REDIS_URL = local.redis_url }
  secret_arns     = [local.database_url, local.redis_url]
  task_statements = [local.list_report_files, local.read_report_files, local.keep_backups]

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
}
