mock_provider "aws" {
  override_during = plan
  source          = "./tests/mocks"
}

variables {
  name              = "leadger-test"
  role              = "worker"
  cluster_name      = "leadger-test"
  image             = "registry.mock/leadger:1"
  repository_arn    = "arn:aws:ecr:eu-central-1:123456789012:repository/leadger"
  command           = ["celery", "-A", "worker.app", "worker"]
  subnet_ids        = ["subnet-a", "subnet-b"]
  security_group_id = "sg-worker"
  environment       = { LOG_LEVEL = "INFO" }
  secrets           = { REDIS_URL = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:redis" }
  secret_arns       = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:redis"]
}

run "a_service_that_scales_by_inbox_age" {
  command = plan

  module {
    source = "../service"
  }

  variables {
    tasks            = 2
    scaling          = { min = 2, max = 6, inbox_age_s = 5 }
    inbox_age_metric = { namespace = "Leadger/leadger-test", name = "InboxAge" }

    task_statements = [{ Sid = "Read", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::mock/reports/*"] }]
  }

  assert {
    condition = (
      one(aws_ecs_service.main[0].network_configuration).subnets == toset(["subnet-a", "subnet-b"])
      && one(aws_ecs_service.main[0].network_configuration).security_groups == toset(["sg-worker"])
      && !one(aws_ecs_service.main[0].network_configuration).assign_public_ip
    )
    error_message = "In private subnets, in its own security group, without a public address."
  }

  assert {
    condition     = aws_ecs_service.main[0].desired_count == 2 && aws_ecs_service.main[0].launch_type == "FARGATE"
    error_message = "Two tasks on Fargate."
  }

  assert {
    condition     = aws_ecs_service.main[0].deployment_minimum_healthy_percent == 100 && aws_ecs_service.main[0].deployment_maximum_percent == 200
    error_message = "A new task stands before the old one goes."
  }

  assert {
    condition     = one(aws_ecs_service.main[0].deployment_circuit_breaker).enable && one(aws_ecs_service.main[0].deployment_circuit_breaker).rollback
    error_message = "A release that does not start is taken back."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.main.container_definitions)[0].readonlyRootFilesystem
    error_message = "Nothing is written but below the mounted folders."
  }

  assert {
    condition = (
      { for mount in jsondecode(aws_ecs_task_definition.main.container_definitions)[0].mountPoints : mount.containerPath => mount.readOnly }
      == { "/tmp" = false, "/var/lib/leadger" = false }
    )
    error_message = "The image's two volumes can be written to."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.main.container_definitions)[0].healthCheck.command == ["CMD", "python", "/app/compose/healthy.py"]
    error_message = "The image's own health check is asked."
  }

  assert {
    condition = (
      jsondecode(aws_ecs_task_definition.main.container_definitions)[0].secrets == [{ name = "REDIS_URL", valueFrom = var.secrets.REDIS_URL }]
      && jsondecode(aws_ecs_task_definition.main.container_definitions)[0].environment == [{ name = "LOG_LEVEL", value = "INFO" }]
    )
    error_message = "Secrets come as secrets, settings as settings."
  }

  assert {
    condition     = aws_appautoscaling_target.main[0].min_capacity == 2 && aws_appautoscaling_target.main[0].max_capacity == 6
    error_message = "Between two and six tasks."
  }

  assert {
    condition     = length(aws_appautoscaling_policy.requests) == 0
    error_message = "Not by requests."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.older[0].metric_name == "InboxAge"
      && aws_cloudwatch_metric_alarm.older[0].threshold == 5
      && aws_cloudwatch_metric_alarm.older[0].alarm_actions == toset([aws_appautoscaling_policy.older[0].arn])
      && aws_cloudwatch_metric_alarm.younger[0].alarm_actions == toset([aws_appautoscaling_policy.younger[0].arn])
    )
    error_message = "The alarms on the inbox's age pull the policies."
  }

  assert {
    condition = (
      [for step in aws_appautoscaling_policy.older[0].step_scaling_policy_configuration[0].step_adjustment : step.scaling_adjustment if step.scaling_adjustment < 1] == []
      && [for step in aws_appautoscaling_policy.younger[0].step_scaling_policy_configuration[0].step_adjustment : step.scaling_adjustment] == [-1]
    )
    error_message = "Older adds, younger takes one away."
  }

  assert {
    condition = (
      jsonencode({ for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Sid => statement.Resource })
      == jsonencode({
        Login   = ["*"]
        Pull    = [var.repository_arn]
        Log     = ["${aws_cloudwatch_log_group.main.arn}:*"]
        Secrets = var.secret_arns
      })
    )
    error_message = "A task may be started with its own image, log and secrets, and nothing else."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.task[0].policy).Statement == [{ Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::mock/reports/*"] }]
    error_message = "The containers may do what was named, and nothing else."
  }
}

run "exactly_one" {
  command = plan

  module {
    source = "../service"
  }

  variables {
    role      = "beat"
    singleton = true
  }

  assert {
    condition = (
      aws_ecs_service.main[0].desired_count == 1
      && aws_ecs_service.main[0].deployment_minimum_healthy_percent == 0
      && aws_ecs_service.main[0].deployment_maximum_percent == 100
    )
    error_message = "The old one stops before the new one starts."
  }

  assert {
    condition     = length(aws_appautoscaling_target.main) == 0 && length(aws_iam_role_policy.task) == 0
    error_message = "It does not scale, and may do nothing in AWS."
  }
}

run "two_beats_are_refused" {
  command = plan

  module {
    source = "../service"
  }

  variables {
    singleton = true
    tasks     = 2
  }

  expect_failures = [var.singleton]
}

run "one_off" {
  command = plan

  module {
    source = "../service"
  }

  variables {
    role    = "migrate"
    one_off = true
  }

  assert {
    condition     = length(aws_ecs_service.main) == 0
    error_message = "A one-off task is no service."
  }

  assert {
    condition     = !can(jsondecode(aws_ecs_task_definition.main.container_definitions)[0].healthCheck)
    error_message = "What ends by itself is not asked for its health."
  }
}
