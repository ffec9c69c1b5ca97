data "aws_region" "current" {}

locals {
  full_name = "${var.name}-${var.role}"

  # The root file system is read-only, but for the image's two volumes: Fargate gives these to the image's user.
  writable = { tmp = "/tmp", home = "/var/lib/leadger" }
}

resource "aws_cloudwatch_log_group" "main" {
  # checkov:skip=CKV_AWS_158: encrypted by CloudWatch; a key of one's own is the caller's choice (kms_key_arn).
  # checkov:skip=CKV_AWS_338: logs explain this month's work; the ledger itself is kept in the database.
  name              = "/${var.name}/${var.role}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_ecs_task_definition" "main" {
  family                   = local.full_name
  skip_destroy             = var.keep_revisions
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory_mb
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  dynamic "volume" {
    for_each = local.writable

    content {
      name = volume.key
    }
  }

  container_definitions = jsonencode([merge({
    name                   = var.role
    image                  = var.image
    command                = var.command
    essential              = true
    readonlyRootFilesystem = !var.exec # whose agent writes to it, as root; AWS does not support it otherwise
    stopTimeout            = var.stop_timeout_s

    # PID 1 that reaps children and hands signals on.
    linuxParameters = { initProcessEnabled = true }

    portMappings = var.port == null ? [] : [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }]
    environment  = [for name, value in var.environment : { name = name, value = value }]
    secrets      = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
    mountPoints  = [for name, path in local.writable : { sourceVolume = name, containerPath = path, readOnly = false }]

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.main.name
        awslogs-region        = data.aws_region.current.name
        awslogs-stream-prefix = var.role
      }
    }
    },
    # ECS passes over the health check of the image. Patient, because a worker answers through the cache: one that fails
    # over is no reason to replace all workers at once.
    var.one_off ? {} : {
      healthCheck = {
        command     = ["CMD", "python", "/app/compose/healthy.py"]
        interval    = 30
        timeout     = 15
        startPeriod = 60
        retries     = 10
      }
  })])
}
