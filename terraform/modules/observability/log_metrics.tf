# Figures that only our own logs know. Each log line is one JSON object with a constant event.
locals {
  namespace = "Leadger/${var.name}"

  # Every health check of the load balancer asks an api task how long leads have waited. The api logs it, because a
  # worker that is behind would be the last to say so.
  log_metrics = merge(
    {
      InboxAge           = { log_group = var.service_log_groups["api"], pattern = "{ $.event = \"inbox_measured\" }", value = "$.oldest_s", unit = "Seconds" }
      PoisonLeads        = { log_group = var.service_log_groups["worker"], pattern = "{ $.event = \"poison_leads_found\" }", value = "1", unit = "Count" }
      InvariantsViolated = { log_group = var.service_log_groups["worker"], pattern = "{ $.event = \"invariant_violated\" }", value = "1", unit = "Count" }
    },
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
    name      = each.key
    value     = each.value.value
    unit      = each.value.unit
  }
}
