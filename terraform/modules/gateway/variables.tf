variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the load balancer."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets for the load balancer and the VPC link."
  type        = list(string)
}

variable "gateway_security_group_id" {
  description = "Security group of the VPC link."
  type        = string
}

variable "load_balancer_security_group_id" {
  description = "Security group of the load balancer."
  type        = string
}

variable "listener_port" {
  description = "Port of the load balancer: 443 with a certificate, else 80."
  type        = number
  default     = 80
}

variable "api_port" {
  description = "Port of the api containers."
  type        = number
  default     = 8000
}

variable "public_routes" {
  description = "What the world may ask, as routes of an HTTP API; everything else is 404 at the gateway."
  type        = list(string)
  default     = null # the API and the pages, see routes.tf
}

variable "requests_per_s" {
  description = "Requests per second that the gateway lets through in the long run; a request may carry thousands of leads."
  type        = number
  default     = 500
}

variable "burst_requests" {
  description = "Requests at once that the gateway lets through for a moment."
  type        = number
  default     = 1000
}

variable "certificate" {
  description = "Certificate for the way from the gateway to the load balancer, and the name in it; null for plain HTTP inside the VPC."
  type        = object({ arn = string, domain = string })
  default     = null
}

variable "protected" {
  description = "Refuse to delete the load balancer."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long the gateway's log is kept."
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "Key that encrypts the log; null leaves it to CloudWatch's own."
  type        = string
  default     = null
}
