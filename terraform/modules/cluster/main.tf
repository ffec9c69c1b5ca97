resource "aws_ecs_cluster" "main" {
  name = var.name

  # The number of running tasks, which the alarm on beat needs, is one of these figures.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}
