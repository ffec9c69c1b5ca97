variable "name" {
  description = "Prefix of every name, e.g. leadger-production."
  type        = string
}

variable "role" {
  description = "What the containers do: api, worker, beat, flower, migrate or command."
  type        = string
}

variable "cluster_name" {
  description = "Cluster that the tasks run in."
  type        = string
}

variable "image" {
  description = "Image with its tag."
  type        = string
}

variable "repository_arn" {
  description = "Repository that the image is pulled from."
  type        = string
}

variable "command" {
  description = "Command line, one word per item."
  type        = list(string)
}

variable "cpu" {
  description = "CPU units; 1024 is one core."
  type        = number
  default     = 256
}

variable "memory_mb" {
  description = "Memory."
  type        = number
  default     = 512
}

variable "cpu_architecture" {
  description = "X86_64, or ARM64 for an image that was built for it: a fifth cheaper."
  type        = string
  default     = "X86_64"
}

variable "environment" {
  description = "Settings that are no secret."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Settings from secrets: the variable's name and the secret's ARN, with :key:: after it for one key of a JSON secret."
  type        = map(string)
  default     = {}
}

variable "secret_arns" {
  description = "ARNs of the secrets that the task may be started with."
  type        = list(string)
  default     = []
}

variable "kms_key_arn" {
  description = "Key that the secrets and the log are encrypted with, if not by AWS managed ones."
  type        = string
  default     = null
}

variable "task_statements" {
  description = "What the containers themselves may do in AWS, as statements of an IAM policy."
  type = list(object({
    Sid      = string
    Action   = list(string)
    Resource = list(string)
  }))
  default = []
}

variable "port" {
  description = "Port that the containers listen on; null for none."
  type        = number
  default     = null
}

variable "target_group_arn" {
  description = "Target group of the load balancer that the tasks join; null for none."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the tasks."
  type        = string
}

variable "one_off" {
  description = "Make only the task definition: someone runs it and it ends."
  type        = bool
  default     = false
}

variable "keep_revisions" {
  description = "Keep the task definitions of earlier releases: ECS rolls a failed one back only to one that is still there."
  type        = bool
  default     = false
}

variable "tasks" {
  description = "Number of tasks at the start; autoscaling owns it afterwards."
  type        = number
  default     = 1
}

variable "singleton" {
  description = "Never run two tasks at once, not even while one replaces the other."
  type        = bool
  default     = false

  validation {
    condition     = !var.singleton || (var.tasks == 1 && var.scaling == null)
    error_message = "A singleton has exactly one task and does not scale."
  }
}

variable "scaling" {
  description = "Bounds and measure of autoscaling; null for a fixed number. Either requests per minute and task, or the age of the inbox."
  type = object({
    min                 = number
    max                 = number
    requests_per_minute = optional(number)
    inbox_age_s         = optional(number)
  })
  default = null
}

variable "request_count_label" {
  description = "Load balancer and target group as autoscaling names them; for scaling by requests."
  type        = string
  default     = null
}

variable "inbox_age_metric" {
  description = "Metric with the age of the oldest waiting lead in seconds; for scaling by it."
  type        = object({ namespace = string, name = string })
  default     = null
}

variable "exec" {
  description = "Let operators with the right to it open a tunnel into a task (ECS Exec)."
  type        = bool
  default     = false
}

variable "stop_timeout_s" {
  description = "Seconds between the request to stop and the end; Fargate allows 120."
  type        = number
  default     = 30
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30
}
