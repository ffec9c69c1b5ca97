locals {
  assumed_by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  # To start: pull this image, write this log, read these secrets.
  execution_statements = concat(
    [
      { Sid = "Login", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
      {
        Sid      = "Pull"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [var.repository_arn]
      },
      {
        Sid      = "Log"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.main.arn}:*"]
      },
    ],
    length(var.secret_arns) == 0 ? [] : [
      { Sid = "Secrets", Action = ["secretsmanager:GetSecretValue"], Resource = var.secret_arns },
    ],
    local.decrypt,
  )

  decrypt = var.kms_key_arn == null ? [] : [
    { Sid = "Decrypt", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.kms_key_arn] },
  ]

  # While it runs: what this role needs, and no more.
  task_statements = concat(
    var.task_statements,
    length(var.task_statements) == 0 ? [] : local.decrypt,
    !var.exec ? [] : [{
      Sid = "Exec"
      Action = [
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ]
      Resource = ["*"]
    }],
  )
}

resource "aws_iam_role" "execution" {
  name               = "${local.full_name}-execution"
  assume_role_policy = local.assumed_by_tasks
}

resource "aws_iam_role_policy" "execution" {
  # checkov:skip=CKV_AWS_355: a login to ECR belongs to no repository; IAM knows it with "*" only.
  # checkov:skip=CKV_AWS_290: the login changes nothing, and its "*" cannot be narrowed.
  name = "start"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.execution_statements : merge(statement, { Effect = "Allow" })]
  })
}

resource "aws_iam_role" "task" {
  name               = "${local.full_name}-task"
  assume_role_policy = local.assumed_by_tasks
}

resource "aws_iam_role_policy" "task" {
  # checkov:skip=CKV_AWS_355: the channels of ECS Exec have no ARN; IAM knows them with "*" only.
  # checkov:skip=CKV_AWS_290: the channels belong to the task itself, and their "*" cannot be narrowed.
  count = length(local.task_statements) > 0 ? 1 : 0

  name = "run"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.task_statements : merge(statement, { Effect = "Allow" })]
  })
}
