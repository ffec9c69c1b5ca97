mock_provider "aws" {
  override_during = plan
  source          = "./tests/mocks"
}

variables {
  name              = "leadger-test"
  subnet_ids        = ["subnet-a", "subnet-b"]
  security_group_id = "sg-database"
}

run "encrypted_backed_up_and_protected" {
  command = plan

  module {
    source = "../database"
  }

  assert {
    condition     = aws_db_instance.main.storage_encrypted && !aws_db_instance.main.publicly_accessible
    error_message = "Encrypted and private."
  }

  assert {
    condition     = aws_db_instance.main.backup_retention_period == 7
    error_message = "A week of backups unless more is asked for."
  }

  assert {
    condition = (
      aws_db_instance.main.deletion_protection
      && !aws_db_instance.main.skip_final_snapshot
      && aws_db_instance.main.final_snapshot_identifier == "leadger-test-final"
    )
    error_message = "Deletion is refused, and leaves a snapshot once it is not."
  }

  assert {
    condition     = aws_db_instance.main.performance_insights_enabled
    error_message = "Performance insights are on."
  }

  assert {
    condition     = aws_db_instance.main.manage_master_user_password && aws_db_instance.main.password == null
    error_message = "RDS keeps the master password, not Terraform."
  }

  assert {
    condition     = length(aws_secretsmanager_secret.master) == 0 && output.master_secret_arn == aws_db_instance.main.master_user_secret[0].secret_arn
    error_message = "The migrate task reads the secret of RDS."
  }

  assert {
    condition     = aws_db_instance.main.db_name == "leadger" && aws_db_instance.main.engine == "postgres" && aws_db_instance.main.engine_version == "17"
    error_message = "PostgreSQL 17 with a database named leadger."
  }

  assert {
    condition     = aws_db_instance.main.vpc_security_group_ids == toset(["sg-database"])
    error_message = "In its own security group."
  }

  assert {
    condition     = aws_db_subnet_group.main.subnet_ids == toset(["subnet-a", "subnet-b"])
    error_message = "In the private subnets."
  }

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.main.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1")
    error_message = "Only encrypted connections."
  }

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.main.parameter : "${parameter.name}=${parameter.value}"], "max_wal_size=2048")
    error_message = "The log takes a tenth of a small disk."
  }

  assert {
    condition     = !aws_db_instance.main.multi_az && length(aws_db_instance.replica) == 0
    error_message = "The smallest size is one instance."
  }

  assert {
    condition     = aws_secretsmanager_secret.application_login.recovery_window_in_days == 30
    error_message = "The application login has a secret of its own, which can be recovered."
  }
}

run "standby_and_replicas_by_variable" {
  command = plan

  module {
    source = "../database"
  }

  variables {
    multi_az      = true
    read_replicas = 2
    backup_days   = 35
    storage_gb    = 400
  }

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.main.parameter : "${parameter.name}=${parameter.value}"], "max_wal_size=16384")
    error_message = "The log takes 16 GB at most."
  }

  assert {
    condition     = aws_db_instance.main.multi_az && aws_db_instance.main.backup_retention_period == 35
    error_message = "A standby, and as many backups as asked for."
  }

  assert {
    condition     = output.replica_identifiers == ["leadger-test-replica-1", "leadger-test-replica-2"]
    error_message = "Two replicas."
  }

  assert {
    condition     = aws_db_instance.main.manage_master_user_password == null && aws_db_instance.main.password_wo_version == 1
    error_message = "RDS makes no replica of an instance whose master password it keeps."
  }

  assert {
    condition = (
      output.master_secret_arn == aws_secretsmanager_secret.master[0].arn
      && aws_secretsmanager_secret_version.master[0].secret_id == aws_secretsmanager_secret.master[0].id
    )
    error_message = "The migrate task reads the secret of ours."
  }

  assert {
    condition = alltrue([
      for replica in aws_db_instance.replica :
      replica.replicate_source_db == aws_db_instance.main.identifier && replica.storage_encrypted && !replica.publicly_accessible
    ])
    error_message = "Replicas of the main instance, encrypted and private."
  }
}

run "no_ledger_without_backups_or_on_an_old_postgres" {
  command = plan

  module {
    source = "../database"
  }

  variables {
    backup_days    = 0
    engine_version = "14"
  }

  expect_failures = [var.backup_days, var.engine_version]
}
