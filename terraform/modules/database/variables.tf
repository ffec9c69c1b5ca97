variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in at least two zones."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the database."
  type        = string
}

variable "engine_version" {
  description = "PostgreSQL version; 15 or newer. With a major version alone AWS keeps the minor one up to date."
  type        = string
  default     = "17"

  validation {
    condition     = tonumber(split(".", var.engine_version)[0]) >= 15
    error_message = "Leadger needs PostgreSQL 15 or newer."
  }
}

variable "instance_class" {
  description = "Size of the instance."
  type        = string
  default     = "db.t4g.micro"
}

variable "storage_gb" {
  description = "Storage at the start."
  type        = number
  default     = 20
}

variable "max_storage_gb" {
  description = "Storage that the instance may grow to by itself."
  type        = number
  default     = 100
}

variable "multi_az" {
  description = "Keep a standby in the second zone."
  type        = bool
  default     = false
}

variable "read_replicas" {
  description = "Number of read replicas. With any, the master password is one of ours instead of RDS's."
  type        = number
  default     = 0
}

variable "master_password_version" {
  description = "Raise by one for another master password, where it is one of ours."
  type        = number
  default     = 1
}

variable "backup_days" {
  description = "Days that point-in-time recovery reaches back; read replicas need at least 1."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days must be from 1 to 35: a ledger without backups is none."
  }
}

variable "protected" {
  description = "Refuse deletion, and keep a last snapshot."
  type        = bool
  default     = true
}

variable "monitoring_interval_s" {
  description = "Seconds between figures of the operating system; 0 turns them off."
  type        = number
  default     = 60
}

variable "secret_recovery_days" {
  description = "Days that a deleted secret can be recovered; 0 deletes at once."
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "Key for storage, insights and secrets; null leaves it to the AWS managed keys."
  type        = string
  default     = null
}
