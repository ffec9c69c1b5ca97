variable "bucket" {
  description = "Name of the bucket; unique in all of AWS."
  type        = string
}

variable "protected" {
  description = "Refuse to delete the bucket while it holds files."
  type        = bool
  default     = true
}

variable "old_version_days" {
  description = "Days that an overwritten or deleted file can be brought back."
  type        = number
  default     = 90
}

variable "infrequent_after_days" {
  description = "Days after which a file moves to the cheaper storage for rarely read files."
  type        = number
  default     = 90
}

variable "kms_key_arn" {
  description = "Key that encrypts the files; null leaves it to S3's own."
  type        = string
  default     = null
}
