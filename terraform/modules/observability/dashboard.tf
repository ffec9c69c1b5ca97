data "aws_region" "current" {}

locals {
  # Rows of two: title, and metrics as CloudWatch writes them: namespace, metric, dimension name, dimension value, …
  charts = [
    { title = "Oldest waiting lead (s)", stat = "Maximum", metrics = [[local.namespace, "InboxAge"]] },
    {
      title   = "Errors in the logs", stat = "Sum"
      metrics = [for service in sort(keys(var.service_log_groups)) : [local.namespace, "Errors-${service}"]]
    },
    {
      title   = "Requests at the gateway", stat = "Sum"
      metrics = [for metric in ["Count", "4xx", "5xx"] : ["AWS/ApiGateway", metric, "ApiId", var.gateway_api_id, "Stage", "$default"]]
    },
    {
      title   = "Response time of the api (s, p99)", stat = "p99"
      metrics = [["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.load_balancer, "TargetGroup", var.target_group]]
    },
    {
      title = "Running tasks", stat = "Average"
      metrics = [
        for service in ["api", "worker", "background", "beat", "flower"] :
        ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", var.cluster_name, "ServiceName", service]
      ]
    },
    {
      title = "CPU and memory of the services (%)", stat = "Average"
      metrics = [
        for pair in setproduct(["api", "worker", "background"], ["CPUUtilization", "MemoryUtilization"]) :
        ["AWS/ECS", pair[1], "ClusterName", var.cluster_name, "ServiceName", pair[0]]
      ]
    },
    {
      title = "Database: CPU (%) and connections", stat = "Maximum"
      metrics = [
        for metric in ["CPUUtilization", "DatabaseConnections"] :
        ["AWS/RDS", metric, "DBInstanceIdentifier", var.database_identifier]
      ]
    },
    {
      title = "Cache: memory and CPU (%)", stat = "Maximum"
      metrics = [
        for pair in setproduct(var.cache_node_ids, ["DatabaseMemoryUsagePercentage", "EngineCPUUtilization"]) :
        ["AWS/ElastiCache", pair[1], "CacheClusterId", pair[0]]
      ]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "main" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      for number, chart in local.charts : {
        type   = "metric"
        x      = 12 * (number % 2)
        y      = 6 * floor(number / 2)
        width  = 12
        height = 6
        properties = {
          title   = chart.title
          stat    = chart.stat
          metrics = chart.metrics
          region  = data.aws_region.current.name
          period  = 60
          view    = "timeSeries"
        }
      }
    ]
  })
}
