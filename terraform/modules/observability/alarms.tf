locals {
  gateway  = { ApiId = var.gateway_api_id, Stage = "$default" }
  target   = { LoadBalancer = var.load_balancer, TargetGroup = var.target_group }
  database = { DBInstanceIdentifier = var.database_identifier }
  service  = { for role in ["api", "worker", "background", "beat"] : role => { ClusterName = var.cluster_name, ServiceName = role } }

  queue_alarms = {
    inbox-age = {
      namespace = local.namespace, metric = "InboxAge", dimensions = {}, statistic = "Maximum"
      over      = var.inbox_age_alarm_s, minutes = 3, missing = "breaching"
      says      = "Leads wait too long, or no api task can tell: workers are behind or gone"
      see       = "leads-wait"
    }
    leads-refused = {
      namespace = local.namespace, metric = "LeadsRefused", dimensions = {}, statistic = "Sum", over = 0, minutes = 2
      says      = "The api refuses leads because too many wait"
      see       = "leads-are-refused"
    }
    paused = {
      namespace = local.namespace, metric = "PausedFor", dimensions = {}, statistic = "Maximum", over = 1800
      says      = "The workers have been paused for half an hour"
      see       = "the-workers-are-paused"
    }
    batches-fail = {
      namespace = local.namespace, metric = "BatchesFailed", dimensions = {}, statistic = "Sum", over = 0, minutes = 5
      says      = "Batches fail again and again: a lock, or the database"
      see       = "batches-are-stuck"
    }
    quarantine = {
      namespace = local.namespace, metric = "Quarantined", dimensions = {}, statistic = "Sum", over = 100, period_s = 3600
      says      = "More than 100 leads in an hour name a product or a customer that nobody created"
      see       = "quarantine"
    }
    notifications = {
      namespace = local.namespace, metric = "NotificationFailures", dimensions = {}, statistic = "Sum", over = 0, minutes = 5
      says      = "The api cannot send messages: leads wait for the sweeper"
      see       = "redis-is-away"
    }
    mail-given-up = {
      namespace = local.namespace, metric = "MailGivenUp", dimensions = {}, statistic = "Sum", over = 0
      says      = "Mail about bills was put off for so long that it is not tried any more"
      see       = "mail-is-not-sent"
    }
    run-dead-letters = {
      namespace = local.namespace, metric = "RunDeadLetters", dimensions = {}, statistic = "Sum", over = 0
      says      = "Months of partners could not be billed; all others were"
      see       = "a-month-is-not-billed"
    }
    run-failed = {
      namespace = local.namespace, metric = "RunsFailed", dimensions = {}, statistic = "Sum", over = 0
      says      = "A run of the monthly billing failed as a whole"
      see       = "a-month-is-not-billed"
    }
    poison-leads = {
      namespace = local.namespace, metric = "PoisonLeads", dimensions = {}, statistic = "Sum", over = 0
      says      = "Leads could not be decided and lie in the dead letters"
      see       = "dead-letters"
    }
  }

  error_alarms = {
    invariants = {
      namespace = local.namespace, metric = "InvariantsViolated", dimensions = {}, statistic = "Sum", over = 0
      says      = "Figures do not add up (R9): stop issuing bills"
      see       = "an-invariant-is-violated"
    }
    proofs = {
      namespace = local.namespace, metric = "ProofsDiffer", dimensions = {}, statistic = "Sum", over = 0
      says      = "An issued bill or an account is not what it was made from (B10, B11): stop issuing bills"
      see       = "a-bill-differs-from-its-proof"
    }
    errors-api = {
      namespace = local.namespace, metric = "Errors-api", dimensions = {}, statistic = "Sum", over = 5, minutes = 5
      says      = "The api logs errors"
      see       = "an-unexpected-error"
    }
    errors-worker = {
      namespace = local.namespace, metric = "Errors-worker", dimensions = {}, statistic = "Sum", over = 5, minutes = 5
      says      = "Workers log errors"
      see       = "an-unexpected-error"
    }
    errors-background = {
      namespace = local.namespace, metric = "Errors-background", dimensions = {}, statistic = "Sum", over = 5, minutes = 5
      says      = "Workers for background tasks log errors"
      see       = "an-unexpected-error"
    }
    tasks-fail = {
      namespace = local.namespace, metric = "TasksFailed", dimensions = {}, statistic = "Sum", over = 0, period_s = 3600
      says      = "A task of the workers failed within an hour; a scheduled one fails again at its next run"
      see       = "a-task-fails"
    }
    gateway-5xx = {
      namespace = "AWS/ApiGateway", metric = "5xx", dimensions = local.gateway, statistic = "Sum", over = 10, minutes = 5
      says      = "Callers get server errors"
      see       = "an-unexpected-error"
    }
    api-5xx = {
      namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", dimensions = local.target, statistic = "Sum"
      over      = 10, minutes = 5
      says      = "The api answers with server errors"
      see       = "an-unexpected-error"
    }
    api-unhealthy = {
      namespace = "AWS/ApplicationELB", metric = "HealthyHostCount", dimensions = local.target, statistic = "Minimum"
      under     = 1, minutes = 3, missing = "breaching"
      says      = "No api task is ready"
      see       = "postgres-is-away"
    }
    worker-absent = {
      namespace = "ECS/ContainerInsights", metric = "RunningTaskCount", dimensions = local.service["worker"], statistic = "Minimum"
      under     = 1, minutes = 5, missing = "breaching"
      says      = "No worker runs"
      see       = "leads-wait"
    }
    background-absent = {
      namespace = "ECS/ContainerInsights", metric = "RunningTaskCount", dimensions = local.service["background"], statistic = "Minimum"
      under     = 1, minutes = 5, missing = "breaching"
      says      = "No worker runs background tasks"
      see       = "a-background-task-does-not-end"
    }
    beat-absent = {
      namespace = "ECS/ContainerInsights", metric = "RunningTaskCount", dimensions = local.service["beat"], statistic = "Minimum"
      under     = 1, minutes = 5, missing = "breaching"
      says      = "Beat does not run: leads whose notification was lost wait, no report is written"
      see       = "beat-is-away"
    }
  }

  saturation_alarms = merge(
    {
      api-latency = {
        namespace = "AWS/ApplicationELB", metric = "TargetResponseTime", dimensions = local.target, statistic = "p99"
        over      = 1, minutes = 5
        says      = "One request in a hundred takes more than a second"
        see       = "a-service-is-saturated"
      }
    },
    {
      for pair in setproduct(["api", "worker", "background"], ["CPUUtilization", "MemoryUtilization"]) : "${pair[0]}-${pair[1]}" => {
        namespace = "AWS/ECS", metric = pair[1], dimensions = local.service[pair[0]], statistic = "Average", over = 85, minutes = 10
        says      = "${pair[0]}: ${pair[1]} stays above 85 %"
        see       = "a-service-is-saturated"
      }
    },
    {
      for node in var.cache_node_ids : "cache-memory-${node}" => {
        namespace = "AWS/ElastiCache", metric = "DatabaseMemoryUsagePercentage", dimensions = { CacheClusterId = node }
        statistic = "Maximum", over = 80
        says      = "The cache fills up; when it is full it refuses messages, and leads wait for the sweeper"
        see       = "redis-is-full"
      }
    },
    {
      for node in var.cache_node_ids : "cache-cpu-${node}" => {
        namespace = "AWS/ElastiCache", metric = "EngineCPUUtilization", dimensions = { CacheClusterId = node }
        statistic = "Average", over = 85, minutes = 5
        says      = "The cache is busy"
        see       = "a-service-is-saturated"
      }
    },
  )

  database_alarms = merge(
    {
      database-cpu = {
        namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = local.database, statistic = "Average", over = 85, minutes = 10
        says      = "The database is busy"
        see       = "the-database-is-saturated"
      }
      database-storage = {
        namespace = "AWS/RDS", metric = "FreeStorageSpace", dimensions = local.database, statistic = "Minimum"
        under     = var.database_storage_gb * 1024 * 1024 * 1024 / 10, minutes = 5
        says      = "The database's disk fills up"
        see       = "the-database-is-saturated"
      }
      database-memory = {
        namespace = "AWS/RDS", metric = "FreeableMemory", dimensions = local.database, statistic = "Minimum"
        under     = 100 * 1024 * 1024, minutes = 10
        says      = "The database is short of memory"
        see       = "the-database-is-saturated"
      }
      database-connections = {
        namespace = "AWS/RDS", metric = "DatabaseConnections", dimensions = local.database, statistic = "Maximum"
        over      = var.database_connections_alarm, minutes = 5
        says      = "The database runs out of connections"
        see       = "the-database-is-saturated"
      }
      database-write-latency = {
        namespace = "AWS/RDS", metric = "WriteLatency", dimensions = local.database, statistic = "Average", over = 0.05, minutes = 5
        says      = "Writing takes more than 50 ms: acceptance waits for it"
        see       = "the-database-is-saturated"
      }
    },
    {
      for replica in var.replica_identifiers : "replica-lag-${replica}" => {
        namespace = "AWS/RDS", metric = "ReplicaLag", dimensions = { DBInstanceIdentifier = replica }, statistic = "Maximum"
        over      = 60, minutes = 5
        says      = "The read replica is more than a minute behind"
        see       = "the-database-is-saturated"
      }
    },
  )

  alarms = merge(local.queue_alarms, local.error_alarms, local.saturation_alarms, local.database_alarms)
}

resource "aws_cloudwatch_metric_alarm" "main" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.says}. What to do: docs/operations.md#${each.value.see}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = try(each.value.over, null) == null ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = try(each.value.over, each.value.under)
  period              = try(each.value.period_s, 60)
  evaluation_periods  = try(each.value.minutes, 1)
  treat_missing_data  = try(each.value.missing, "notBreaching")
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_sns_topic" "alarms" {
  # checkov:skip=CKV_AWS_26: alarms carry names and figures, no data; the AWS managed key would keep CloudWatch out.
  name = "${var.name}-alarms"
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.alarm_emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}
