variable "name" {
  description = "Name of the repository."
  type        = string
}

variable "kept_images" {
  description = "How many images are kept to roll back to."
  type        = number
  default     = 30
}

variable "immutable_tags" {
  description = "Whether a tag may never be pushed again with other content."
  type        = bool
  default     = true
}

variable "protected" {
  description = "Refuse to delete the repository while it holds images."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Key that encrypts the images; null leaves it to ECR's own."
  type        = string
  default     = null
}
