locals {
  by_requests  = try(var.scaling.requests_per_minute, null) != null
  by_inbox_age = try(var.scaling.inbox_age_s, null) != null
}

resource "aws_appautoscaling_target" "main" {
  count = var.scaling == null ? 0 : 1

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster_name}/${aws_ecs_service.main[0].name}"
  min_capacity       = var.scaling.min
  max_capacity       = var.scaling.max
}

resource "aws_appautoscaling_policy" "requests" {
  count = local.by_requests ? 1 : 0

  name               = "${local.full_name}-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.main[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.main[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.main[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.scaling.requests_per_minute
    scale_out_cooldown = 30
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = var.request_count_label
    }
  }
}

# An age does not fall in proportion to the number of workers, so it cannot be tracked like a rate: it is answered in steps.
resource "aws_appautoscaling_policy" "older" {
  count = local.by_inbox_age ? 1 : 0

  name               = "${local.full_name}-inbox-older"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.main[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.main[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.main[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 60

    step_adjustment {
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = 30
      scaling_adjustment          = 1
    }

    step_adjustment {
      metric_interval_lower_bound = 30
      scaling_adjustment          = 3
    }
  }
}

resource "aws_appautoscaling_policy" "younger" {
  count = local.by_inbox_age ? 1 : 0

  name               = "${local.full_name}-inbox-younger"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.main[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.main[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.main[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 300

    step_adjustment {
      metric_interval_upper_bound = 0
      scaling_adjustment          = -1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "older" {
  count = local.by_inbox_age ? 1 : 0

  alarm_name          = "${local.full_name}-scale-out"
  alarm_description   = "Leads wait for ${var.scaling.inbox_age_s} s: more workers"
  namespace           = var.inbox_age_metric.namespace
  metric_name         = var.inbox_age_metric.name
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.scaling.inbox_age_s
  period              = 60
  evaluation_periods  = 1
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_appautoscaling_policy.older[0].arn]
}

resource "aws_cloudwatch_metric_alarm" "younger" {
  count = local.by_inbox_age ? 1 : 0

  alarm_name          = "${local.full_name}-scale-in"
  alarm_description   = "Nothing has waited for ten minutes: fewer workers"
  namespace           = var.inbox_age_metric.namespace
  metric_name         = var.inbox_age_metric.name
  statistic           = "Maximum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 10
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_appautoscaling_policy.younger[0].arn]
}
