resource "aws_apigatewayv2_api" "main" {
  name          = var.name
  description   = "Leadger's public API"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_vpc_link" "main" {
  name               = var.name
  subnet_ids         = var.subnet_ids
  security_group_ids = [var.gateway_security_group_id]
}

resource "aws_apigatewayv2_integration" "api" {
  api_id                 = aws_apigatewayv2_api.main.id
  integration_type       = "HTTP_PROXY"
  integration_method     = "ANY"
  connection_type        = "VPC_LINK"
  connection_id          = aws_apigatewayv2_vpc_link.main.id
  integration_uri        = aws_lb_listener.main.arn
  payload_format_version = "1.0"
  timeout_milliseconds   = 30000

  dynamic "tls_config" {
    for_each = var.certificate == null ? [] : [var.certificate.domain]

    content {
      server_name_to_verify = tls_config.value
    }
  }
}

resource "aws_apigatewayv2_route" "public" {
  # checkov:skip=CKV_AWS_309: the api checks keys and sessions itself, with scopes that the gateway knows nothing of.
  for_each = toset(local.public_routes)

  api_id             = aws_apigatewayv2_api.main.id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.api.id}"
  authorization_type = "NONE"
}

resource "aws_apigatewayv2_stage" "main" {
  api_id      = aws_apigatewayv2_api.main.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    detailed_metrics_enabled = true
    throttling_rate_limit    = var.requests_per_s
    throttling_burst_limit   = var.burst_requests
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.gateway.arn
    format = jsonencode({
      request_id     = "$context.requestId"
      time           = "$context.requestTime"
      ip             = "$context.identity.sourceIp"
      method         = "$context.httpMethod"
      path           = "$context.path"
      route          = "$context.routeKey"
      status         = "$context.status"
      response_bytes = "$context.responseLength"
      latency_ms     = "$context.responseLatency"
      error          = "$context.integrationErrorMessage"
    })
  }
}

resource "aws_cloudwatch_log_group" "gateway" {
  # checkov:skip=CKV_AWS_158: encrypted by CloudWatch; a key of one's own is the caller's choice (kms_key_arn).
  # checkov:skip=CKV_AWS_338: logs explain this month's work; the ledger itself is kept in the database.
  name              = "/${var.name}/gateway"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
