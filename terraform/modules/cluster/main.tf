resource "aws_ecs_cluster" "main" {
  # checkov:skip=CKV_AWS_223: what a console prints may be an API key, which no log may hold; CloudTrail knows who was in it.
  name = var.name

  configuration {
    execute_command_configuration {
      logging = "NONE"
    }
  }

  # The number of running tasks, which the alarm on beat needs, is one of these figures.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}
