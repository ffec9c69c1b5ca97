output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.reports.bucket
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.reports.arn
}
