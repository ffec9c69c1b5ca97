variable "name_prefix" {
  description = "Beginning of the secret's name; a few letters are added, so that a deleted secret is never in the way."
  type        = string
}

variable "description" {
  description = "What the secret is for."
  type        = string
}

variable "value_prefix" {
  description = "What stands before the random part, e.g. a user name and a colon."
  type        = string
  default     = ""
}

variable "generation" {
  description = "Raise by one to have a new random part made."
  type        = number
  default     = 1
}

variable "recovery_days" {
  description = "Days that a deleted secret can be recovered; 0 deletes at once."
  type        = number
}

variable "kms_key_arn" {
  description = "Key that encrypts the secret; null leaves it to Secrets Manager's own."
  type        = string
  default     = null
}
