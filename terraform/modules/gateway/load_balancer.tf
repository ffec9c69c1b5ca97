resource "aws_lb" "main" {
  # checkov:skip=CKV_AWS_150: deletion protection is on unless the environment says otherwise (protected).
  # checkov:skip=CKV_AWS_91: every request comes through the gateway, which logs it.
  # checkov:skip=CKV2_AWS_28: it is internal; a firewall belongs before the gateway.
  name               = var.name
  internal           = true
  load_balancer_type = "application"
  subnets            = var.subnet_ids
  security_groups    = [var.load_balancer_security_group_id]

  drop_invalid_header_fields = true
  enable_deletion_protection = var.protected
  idle_timeout               = 35 # just longer than the gateway's 30 s, so that it is never the one to hang up
}

resource "aws_lb_target_group" "api" {
  # checkov:skip=CKV_AWS_378: TLS ends at the load balancer; security groups let nobody else reach the containers.
  # The port is in the name: changing it makes a new group before the listener lets go of the old one.
  name        = "${var.name}-${var.api_port}"
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = var.api_port

  deregistration_delay = 35

  # A task that cannot accept leads yet (no schema, no database) gets none. A task that loses the database for a
  # fail-over of two minutes answers 503 by itself and is not replaced for it.
  health_check {
    path                = "/ready"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 10
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_listener" "main" {
  # checkov:skip=CKV_AWS_2: HTTPS with a certificate (certificate); without one the last step inside the VPC is plain.
  # checkov:skip=CKV_AWS_103: TLS 1.3 wherever there is TLS.
  load_balancer_arn = aws_lb.main.arn
  port              = var.listener_port
  protocol          = var.certificate == null ? "HTTP" : "HTTPS"
  certificate_arn   = try(var.certificate.arn, null)
  ssl_policy        = var.certificate == null ? null : "ELBSecurityPolicy-TLS13-1-2-2021-06"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}
