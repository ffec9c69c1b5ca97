variable "endpoint" {
  description = "Where LocalStack listens, seen from this machine."
  type        = string
  default     = "http://localhost:4566"
}

variable "container_endpoint" {
  description = "Where LocalStack listens, seen from the containers it starts."
  type        = string
  default     = "http://localhost.localstack.cloud:4566"
}

variable "image_tag" {
  description = "Tag of the image that every task runs."
  type        = string
  default     = "local"
}

variable "traces" {
  description = "Collector of OpenTelemetry traces, seen from the containers, the share of the requests that are traced, and the secret with the headers it asks for."
  type = object({
    endpoint           = string
    share              = optional(number)
    headers_secret_arn = optional(string)
  })
  default = null
}
