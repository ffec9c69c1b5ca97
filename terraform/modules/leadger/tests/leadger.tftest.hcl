# All modules together: who gets which command, setting, secret and right.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name      = "leadger-test"
  image_tag = "1.2.3"
  network   = { zones = ["eu-central-1a", "eu-central-1b"] }
}

run "the_whole" {
  assert {
    condition     = output.migrate_run.networkConfiguration.awsvpcConfiguration.assignPublicIp == "DISABLED"
    error_message = "The migrate task runs in private."
  }

  assert {
    condition     = output.migrate_run.networkConfiguration.awsvpcConfiguration.securityGroups == [module.network.security_group_ids["migrate"]]
    error_message = "The migrate task runs in its own security group."
  }

  assert {
    condition = (
      output.command_run.networkConfiguration.awsvpcConfiguration.assignPublicIp == "DISABLED"
      && output.command_run.networkConfiguration.awsvpcConfiguration.securityGroups == [module.network.security_group_ids["command"]]
    )
    error_message = "So do commands."
  }

  assert {
    condition     = length(module.network.private_subnet_ids) == 2
    error_message = "Two private subnets."
  }
}

run "figures_are_logged" {
  command = plan

  variables {
    log_level = "WARNING"
  }

  expect_failures = [var.log_level]
}

run "names_that_are_too_long_are_refused" {
  command = plan

  variables {
    name = "leadger-of-a-rather-long-name"
  }

  expect_failures = [var.name]
}
