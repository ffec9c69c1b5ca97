resource "aws_ecs_service" "main" {
  count = var.one_off ? 0 : 1

  name            = var.role
  cluster         = var.cluster_name
  task_definition = aws_ecs_task_definition.main.arn
  desired_count   = var.tasks

  launch_type             = "FARGATE"
  platform_version        = "LATEST"
  enable_execute_command  = var.exec
  enable_ecs_managed_tags = true
  propagate_tags          = "SERVICE"

  # A singleton stops before its successor starts; all others start the successor first.
  deployment_minimum_healthy_percent = var.singleton ? 0 : 100
  deployment_maximum_percent         = var.singleton ? 100 : 200
  availability_zone_rebalancing      = var.singleton ? "DISABLED" : "ENABLED"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.security_group_id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = var.target_group_arn == null ? [] : [var.target_group_arn]

    content {
      target_group_arn = load_balancer.value
      container_name   = var.role
      container_port   = var.port
    }
  }

  health_check_grace_period_seconds = var.target_group_arn == null ? null : 60

  lifecycle {
    ignore_changes = [desired_count]
  }
}
