variable "name" {
  description = "Prefix of every name, e.g. leadger-production."
  type        = string
}

variable "zones" {
  description = "The two availability zones, by name: a zone that AWS adds later must not move subnets."
  type        = list(string)

  validation {
    condition     = length(distinct(var.zones)) == 2 && length(var.zones) == 2
    error_message = "zones must name two different zones."
  }
}

variable "cidr" {
  description = "Address range of the VPC; each of the four subnets takes a sixteenth of it."
  type        = string
  default     = "10.40.0.0/16"
}

variable "egress" {
  description = "How private subnets reach AWS and the world: nat_per_zone, single_nat, or endpoints (AWS services only, no outgoing webhooks)."
  type        = string
  default     = "single_nat"

  validation {
    condition     = contains(["nat_per_zone", "single_nat", "endpoints"], var.egress)
    error_message = "egress must be nat_per_zone, single_nat or endpoints."
  }
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

variable "collector" {
  description = "Port of the collector of traces, and whether it speaks TLS; null for none. A plain one has to be in the VPC."
  type        = object({ port = number, tls = bool })
  default     = null
}

variable "mail_port" {
  description = "Port of the mail server, which background tasks reach; null for none."
  type        = number
  default     = null
}

variable "flow_log_retention_days" {
  description = "How long refused connections are remembered."
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "Key that encrypts the flow log; null leaves it to CloudWatch's own."
  type        = string
  default     = null
}
