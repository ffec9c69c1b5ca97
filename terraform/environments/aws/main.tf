module "leadger" {
  source = "../../modules/leadger"

  name      = "leadger-${var.environment}"
  image_tag = var.image_tag
  protected = var.protected

  kms_key_arn        = var.kms_key_arn
  network            = merge(var.network, { zones = coalesce(var.network.zones, ["${var.region}a", "${var.region}b"]) })
  database           = var.database
  cache              = var.cache
  api                = var.api
  worker             = var.worker
  background         = var.background
  cpu_architecture   = var.cpu_architecture
  gateway            = var.gateway
  traces             = var.traces
  billing            = var.billing
  mail               = var.mail
  reminder_days      = var.reminder_days
  log_level          = var.log_level
  secret_settings    = var.secret_settings
  log_retention_days = var.log_retention_days
  alarm_emails       = var.alarm_emails
  inbox_age_alarm_s  = var.inbox_age_alarm_s

  flower_login_version = var.flower_login_version
}
