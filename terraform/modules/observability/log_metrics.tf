# Figures that only our own logs know. Each log line is one JSON object with a constant event.
locals {
  namespace = "Leadger/${var.name}"

  # A closing decides leads too, so both kinds of worker are asked for the same.
  worker_metrics = {
    BatchesFailed      = { pattern = "{ $.event = \"batch_failed\" }", value = "1", unit = "Count" }
    Quarantined        = { pattern = "{ $.event = \"leads_decided\" }", value = "$.leads_quarantined", unit = "Count" }
    TasksFailed        = { pattern = "{ $.event = \"task_failed\" }", value = "1", unit = "Count" }
    PoisonLeads        = { pattern = "{ $.event = \"poison_leads_found\" }", value = "1", unit = "Count" }
    InvariantsViolated = { pattern = "{ $.event = \"invariant_violated\" }", value = "1", unit = "Count" }
    ProofsDiffer       = { pattern = "{ $.event = \"proof_differs\" || $.event = \"proof_failed\" }", value = "1", unit = "Count" }
  }

  # Every health check of the load balancer asks an api task how long leads have waited, and for how long the workers
  # have been paused. The api logs it, because a worker that is behind would be the last to say so.
  log_metrics = merge(
    {
      InboxAge             = { log_group = var.service_log_groups["api"], pattern = "{ $.event = \"inbox_measured\" }", value = "$.oldest_s", unit = "Seconds" }
      PausedFor            = { log_group = var.service_log_groups["api"], pattern = "{ $.event = \"inbox_measured\" }", value = "$.paused_s", unit = "Seconds" }
      LeadsRefused         = { log_group = var.service_log_groups["api"], pattern = "{ $.event = \"requests_refused\" }", value = "$.count", unit = "Count" }
      MailGivenUp          = { log_group = var.service_log_groups["background"], pattern = "{ $.event = \"task_done\" && $.kind = \"send_mail\" }", value = "$.given_up", unit = "Count" }
      RunDeadLetters       = { log_group = var.service_log_groups["background"], pattern = "{ $.event = \"billing_run_item_failed\" && $.dead_letter IS TRUE }", value = "1", unit = "Count" }
      RunsFailed           = { log_group = var.service_log_groups["background"], pattern = "{ $.event = \"billing_run_failed\" }", value = "1", unit = "Count" }
      NotificationFailures = { log_group = var.service_log_groups["api"], pattern = "{ $.event = \"notification_failed\" }", value = "1", unit = "Count" }
    },
    merge([
      for service in ["worker", "background"] : {
        for metric, filter in local.worker_metrics : service == "worker" ? metric : "${metric}-${service}" =>
        merge(filter, { metric = metric, log_group = var.service_log_groups[service] })
      }
    ]...),
    {
      for service, log_group in var.service_log_groups : "Errors-${service}" => {
        log_group = log_group, pattern = "{ $.level = \"error\" || $.level = \"critical\" }", value = "1", unit = "Count"
      }
    },
  )
}

resource "aws_cloudwatch_log_metric_filter" "main" {
  for_each = local.log_metrics

  name           = "${var.name}-${each.key}"
  log_group_name = each.value.log_group
  pattern        = each.value.pattern

  metric_transformation {
    namespace = local.namespace
    name      = try(each.value.metric, each.key)
    value     = each.value.value
    unit      = each.value.unit
  }
}
