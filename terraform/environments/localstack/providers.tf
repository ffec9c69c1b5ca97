# State stays in this folder: LocalStack forgets everything when it stops.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = "us-east-1"

  # checkov:skip=CKV_AWS_41: LocalStack takes any key; these two words open nothing.
  access_key = "test"
  secret_key = "test"

  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  s3_use_path_style           = true

  # A call that the emulator lacks would be tried 25 times and look like a hang.
  max_retries = 3

  endpoints {
    apigatewayv2           = var.endpoint
    applicationautoscaling = var.endpoint
    cloudwatch             = var.endpoint
    ec2                    = var.endpoint
    ecr                    = var.endpoint
    ecs                    = var.endpoint
    elasticache            = var.endpoint
    elbv2                  = var.endpoint
    iam                    = var.endpoint
    logs                   = var.endpoint
    rds                    = var.endpoint
    s3                     = var.endpoint
    secretsmanager         = var.endpoint
    sns                    = var.endpoint
    sts                    = var.endpoint
  }

  default_tags {
    tags = { project = "leadger", environment = "localstack" }
  }
}
