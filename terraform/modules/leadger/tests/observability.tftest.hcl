mock_provider "aws" {
  override_during = plan
  source          = "./tests/mocks"
}

variables {
  name                = "leadger-test"
  alarm_emails        = ["on-call@example.com"]
  cluster_name        = "leadger-test"
  service_log_groups  = { api = "/leadger-test/api", worker = "/leadger-test/worker", background = "/leadger-test/background", beat = "/leadger-test/beat" }
  database_identifier = "leadger-test"
  replica_identifiers = ["leadger-test-replica-1"]
  cache_node_ids      = ["leadger-test-001", "leadger-test-002"]
  gateway_api_id      = "api-1"
  load_balancer       = "app/leadger-test/1"
  target_group        = "targetgroup/leadger-test/2"
}

run "alarms_and_a_dashboard" {
  command = plan

  module {
    source = "../observability"
  }

  assert {
    condition = length(setsubtract([
      "inbox-age", "poison-leads", "leads-refused", "paused", "batches-fail", "quarantine", "notifications",
      "invariants", "proofs", "errors-api", "errors-worker", "errors-background", "tasks-fail", "run-failed", "run-dead-letters", "gateway-5xx", "api-5xx", "api-unhealthy", "worker-absent", "background-absent", "beat-absent",
      "api-CPUUtilization", "api-MemoryUtilization", "worker-CPUUtilization", "worker-MemoryUtilization", "background-CPUUtilization", "background-MemoryUtilization", "api-latency",
      "cache-memory-leadger-test-001", "cache-memory-leadger-test-002", "cache-cpu-leadger-test-001", "cache-cpu-leadger-test-002",
      "database-cpu", "database-storage", "database-memory", "database-connections", "database-write-latency",
      "replica-lag-leadger-test-replica-1",
    ], keys(aws_cloudwatch_metric_alarm.main))) == 0
    error_message = "Queue age, errors, saturation and database: one alarm each."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.main : alarm.alarm_actions == toset([aws_sns_topic.alarms.arn])])
    error_message = "Every alarm tells somebody."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.main["inbox-age"].threshold == 120
      && aws_cloudwatch_metric_alarm.main["inbox-age"].comparison_operator == "GreaterThanThreshold"
      && aws_cloudwatch_metric_alarm.main["inbox-age"].treat_missing_data == "breaching"
    )
    error_message = "Silence about the inbox is an alarm, too."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.main["beat-absent"].comparison_operator == "LessThanThreshold"
      && aws_cloudwatch_metric_alarm.main["beat-absent"].dimensions == tomap({ ClusterName = "leadger-test", ServiceName = "beat" })
    )
    error_message = "The alarm is raised when beat does not run."
  }

  assert {
    condition = alltrue([for alarm in [aws_cloudwatch_metric_alarm.main["run-failed"], aws_cloudwatch_metric_alarm.main["run-dead-letters"]] :
      alarm.threshold == 0 && alarm.comparison_operator == "GreaterThanThreshold" && endswith(alarm.alarm_description, "docs/operations.md#a-month-is-not-billed")
    ])
    error_message = "One run that failed, or one month that could not be billed, raises an alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.main["database-storage"].threshold == 20 * 1024 * 1024 * 1024 / 10
    error_message = "The alarm is raised when a tenth of the disk is left."
  }

  assert {
    condition = (
      aws_cloudwatch_log_metric_filter.main["InboxAge"].log_group_name == "/leadger-test/api"
      && aws_cloudwatch_log_metric_filter.main["InboxAge"].metric_transformation[0].value == "$.oldest_s"
      && aws_cloudwatch_log_metric_filter.main["InboxAge"].metric_transformation[0].namespace == aws_cloudwatch_metric_alarm.main["inbox-age"].namespace
    )
    error_message = "The inbox's age comes from the api's log, into the metric that the alarm watches."
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.main : can(regex("^.+\\. What to do: docs/operations\\.md#[a-z-]+$", alarm.alarm_description))
    ])
    error_message = "Every alarm says in a sentence what is wrong, and where it stands what to do."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.main["quarantine"].period == 3600
      && aws_cloudwatch_metric_alarm.main["tasks-fail"].period == 3600
      && aws_cloudwatch_metric_alarm.main["tasks-fail"].threshold == 0
      && aws_cloudwatch_metric_alarm.main["paused"].period == 60
      && aws_cloudwatch_metric_alarm.main["paused"].threshold == 1800
    )
    error_message = "What happens rarely is looked at by the hour, everything else by the minute."
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.main : contains([for filter in aws_cloudwatch_log_metric_filter.main : filter.name], "leadger-test-${alarm.metric_name}")
      if startswith(alarm.namespace, "Leadger/")
    ])
    error_message = "Every figure of ours that an alarm watches is read from a log."
  }

  assert {
    condition     = toset([for subscription in aws_sns_topic_subscription.email : subscription.endpoint]) == toset(["on-call@example.com"])
    error_message = "Addresses are told."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.main.dashboard_body).widgets) == 8
    error_message = "Eight charts."
  }
}
