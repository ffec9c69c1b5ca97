mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                            = "leadger-test"
  vpc_id                          = "vpc-1"
  subnet_ids                      = ["subnet-a", "subnet-b"]
  gateway_security_group_id       = "sg-gateway"
  load_balancer_security_group_id = "sg-load-balancer"
}

run "public_paths_and_no_others" {
  module {
    source = "../gateway"
  }

  assert {
    condition = toset([for route in aws_apigatewayv2_route.public : route.route_key]) == toset(concat([
      "ANY /leads", "ANY /leads/{proxy+}",
      "ANY /billing/reports", "ANY /billing/reports/{proxy+}",
      "ANY /api/{proxy+}",
      "GET /health", "GET /",
    ], flatten([for page in local.pages : ["ANY /${page}", "ANY /${page}/{proxy+}"]])))
    error_message = "The gateway lets exactly the public paths and the pages through; no $default."
  }

  assert {
    condition     = alltrue([for route in aws_apigatewayv2_route.public : route.target == "integrations/${aws_apigatewayv2_integration.api.id}"])
    error_message = "Every route leads to the api."
  }

  assert {
    condition = (
      aws_apigatewayv2_integration.api.connection_type == "VPC_LINK"
      && aws_apigatewayv2_integration.api.connection_id == aws_apigatewayv2_vpc_link.main.id
      && aws_apigatewayv2_integration.api.integration_uri == aws_lb_listener.main.arn
    )
    error_message = "Through the VPC link to the load balancer."
  }

  assert {
    condition     = aws_apigatewayv2_vpc_link.main.security_group_ids == toset(["sg-gateway"]) && aws_apigatewayv2_vpc_link.main.subnet_ids == toset(["subnet-a", "subnet-b"])
    error_message = "The VPC link stands in the private subnets."
  }

  assert {
    condition     = aws_lb.main.internal && aws_lb.main.security_groups == toset(["sg-load-balancer"]) && aws_lb.main.enable_deletion_protection
    error_message = "The load balancer is internal and protected."
  }

  assert {
    condition = (
      aws_lb_listener.main.port == 80 && aws_lb_listener.main.protocol == "HTTP"
      && aws_lb_listener.main.default_action[0].target_group_arn == aws_lb_target_group.api.arn
    )
    error_message = "The listener hands everything to the api's target group."
  }

  assert {
    condition     = aws_lb_target_group.api.port == 8000 && aws_lb_target_group.api.target_type == "ip" && aws_lb_target_group.api.health_check[0].path == "/ready"
    error_message = "Tasks join by address on port 8000, and get requests once they are ready."
  }

  assert {
    condition = (
      aws_apigatewayv2_stage.main.default_route_settings[0].throttling_rate_limit == 500
      && aws_apigatewayv2_stage.main.default_route_settings[0].throttling_burst_limit == 1000
    )
    error_message = "Requests are throttled."
  }

  assert {
    condition     = jsondecode(aws_apigatewayv2_stage.main.access_log_settings[0].format).status == "$context.status"
    error_message = "Requests are logged."
  }
}

run "https_behind_the_gateway_too" {
  module {
    source = "../gateway"
  }

  variables {
    listener_port = 443
    certificate   = { arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1", domain = "leadger.example.com" }
  }

  assert {
    condition     = aws_lb_listener.main.protocol == "HTTPS" && aws_lb_listener.main.port == 443 && startswith(aws_lb_listener.main.ssl_policy, "ELBSecurityPolicy-TLS13")
    error_message = "With a certificate, TLS 1.3."
  }

  assert {
    condition     = aws_apigatewayv2_integration.api.tls_config[0].server_name_to_verify == "leadger.example.com"
    error_message = "The gateway checks the name in the certificate."
  }
}
