output "url" {
  description = "Public address."
  value       = aws_apigatewayv2_api.main.api_endpoint
}

output "api_id" {
  description = "Id of the HTTP API."
  value       = aws_apigatewayv2_api.main.id
}

output "target_group_arn" {
  description = "Target group that api tasks join."
  value       = aws_lb_target_group.api.arn

  # ECS refuses a target group that no listener uses yet.
  depends_on = [aws_lb_listener.main]
}

output "request_count_label" {
  description = "Load balancer and target group as autoscaling names them."
  value       = "${aws_lb.main.arn_suffix}/${aws_lb_target_group.api.arn_suffix}"
}

output "load_balancer" {
  description = "Load balancer as CloudWatch names it."
  value       = aws_lb.main.arn_suffix
}

output "target_group" {
  description = "Target group as CloudWatch names it."
  value       = aws_lb_target_group.api.arn_suffix
}
