output "url" {
  description = "Address that images are pushed to and pulled from."
  value       = aws_ecr_repository.main.repository_url
}

output "arn" {
  description = "ARN of the repository."
  value       = aws_ecr_repository.main.arn
}
