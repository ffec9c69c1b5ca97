variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in at least two zones."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the cache."
  type        = string
}

variable "engine" {
  description = "redis or valkey."
  type        = string
  default     = "valkey"

  validation {
    condition     = contains(["redis", "valkey"], var.engine)
    error_message = "engine must be redis or valkey."
  }
}

variable "engine_version" {
  description = "Version of the engine."
  type        = string
  default     = "8.0"
}

variable "family" {
  description = "Parameter family that belongs to the version."
  type        = string
  default     = "valkey8"
}

variable "node_type" {
  description = "Size of a node."
  type        = string
  default     = "cache.t4g.micro"
}

variable "nodes" {
  description = "Number of nodes; from 2 on the group fails over to the second zone by itself."
  type        = number
  default     = 1

  validation {
    condition     = var.nodes >= 1 && var.nodes <= 6
    error_message = "nodes must be from 1 to 6."
  }
}

variable "snapshot_days" {
  description = "Days that snapshots are kept. 0 is fine: the rows in Postgres are the jobs, and nothing is lost with the cache."
  type        = number
  default     = 0
}

variable "auth_token_version" {
  description = "Raise by one to rotate the token that clients present."
  type        = number
  default     = 1
}

variable "secret_recovery_days" {
  description = "Days that a deleted secret can be recovered; 0 deletes at once."
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "Key for data at rest and secrets; null leaves it to the AWS managed keys."
  type        = string
  default     = null
}
