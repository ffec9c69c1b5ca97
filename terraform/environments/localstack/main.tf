module "leadger" {
  source = "../../modules/leadger"

  name      = "leadger-local"
  image_tag = var.image_tag
  protected = false

  extra_environment = {
    AWS_ENDPOINT_URL      = var.container_endpoint
    AWS_ACCESS_KEY_ID     = "test"
    AWS_SECRET_ACCESS_KEY = "test"
    AWS_DEFAULT_REGION    = "us-east-1"

    # With TLS where the emulated database speaks it, and without where it does not.
    LEADGER_DATABASE_SSLMODE = "prefer"
  }

  network            = { zones = ["us-east-1a", "us-east-1b"] }
  database           = { backup_days = 1, max_storage_gb = 25 }
  api                = { max = 2 }
  worker             = { max = 2 }
  traces             = var.traces
  log_retention_days = 1
}
