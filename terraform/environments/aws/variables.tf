variable "region" {
  description = "Region with at least two zones."
  type        = string
  default     = "eu-central-1"
}

variable "environment" {
  description = "Name of this installation, e.g. production or staging."
  type        = string
  default     = "production"
}

variable "image_tag" {
  description = "Tag of the image that every task runs; a tag is never pushed twice."
  type        = string
}

variable "protected" {
  description = "Refuse to delete what holds data. Lifting it is the first of two steps of taking an installation down; see the README."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Key for everything that is stored; null leaves it to the keys that AWS manages."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "Who is told of alarms."
  type        = list(string)
  default     = []
}

# What these hold is described beside the same names in modules/leadger/variables.tf.

variable "network" {
  description = "Zones (a and b of the region, if none are named), address range and egress."
  type        = object({ zones = optional(list(string)), cidr = optional(string), egress = optional(string) })
  default     = {}
}

variable "database" {
  description = "Size and safety of PostgreSQL."
  type = object({
    engine_version          = optional(string)
    instance_class          = optional(string)
    storage_gb              = optional(number)
    max_storage_gb          = optional(number)
    multi_az                = optional(bool)
    read_replicas           = optional(number)
    master_password_version = optional(number)
    backup_days             = optional(number)
    monitoring_interval_s   = optional(number)
    connections_alarm       = optional(number)
  })
  default = {}
}

variable "cache" {
  description = "Size of the cache, and the version of its token."
  type = object({
    node_type          = optional(string)
    nodes              = optional(number)
    snapshot_days      = optional(number)
    auth_token_version = optional(number)
  })
  default = {}
}

variable "api" {
  description = "Size of the api."
  type = object({
    cpu                 = optional(number)
    memory_mb           = optional(number)
    processes           = optional(number)
    min                 = optional(number)
    max                 = optional(number)
    requests_per_minute = optional(number)
  })
  default = {}
}

variable "worker" {
  description = "Size of the worker."
  type = object({
    cpu         = optional(number)
    memory_mb   = optional(number)
    concurrency = optional(number)
    min         = optional(number)
    max         = optional(number)
    inbox_age_s = optional(number)
  })
  default = {}
}

variable "background" {
  description = "Size of the worker for background tasks."
  type = object({
    cpu         = optional(number)
    memory_mb   = optional(number)
    concurrency = optional(number)
  })
  default = {}
}

variable "cpu_architecture" {
  description = "X86_64 or ARM64, as the image was built."
  type        = string
  default     = "X86_64"
}

variable "gateway" {
  description = "The public door: throttling, routes, and the certificate of the load balancer behind it."
  type = object({
    requests_per_s = optional(number)
    burst_requests = optional(number)
    public_routes  = optional(list(string))
    certificate    = optional(object({ arn = string, domain = string }))
  })
  default = {}
}

variable "traces" {
  description = "Collector of OpenTelemetry traces, the share of the requests that are traced, and the secret with the headers it asks for."
  type = object({
    endpoint           = string
    share              = optional(number)
    headers_secret_arn = optional(string)
  })
  default = null
}

variable "mail" {
  description = "Sender of mail, a secret with SMTP_URL, and the port of that server; null: nothing is sent."
  type = object({
    from                = string
    smtp_url_secret_arn = string
    port                = optional(number)
  })
  default = null
}

variable "reminder_days" {
  description = "Days after the due date on which partners are reminded of a bill; []: never."
  type        = list(number)
  default     = [3, 14, 30]
}

variable "secret_settings" {
  description = "Settings of the API and the workers that are secrets, by name with their ARNs in Secrets Manager: SMTP_URL, GITHUB_API_TOKEN, SLACK_WEBHOOK_URL, BILLING_NOTIFICATION_WEBHOOK_URL, LEADGER_WEBHOOK_KEY."
  type        = map(string)
  default     = {}
}

variable "log_level" {
  description = "LOG_LEVEL of every container: INFO or DEBUG."
  type        = string
  default     = "INFO"
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90
}

variable "inbox_age_alarm_s" {
  description = "Age of the oldest waiting lead at which people are told."
  type        = number
  default     = 120
}

variable "billing" {
  description = "Whether months are billed by themselves, and the GitHub repository whose webhook starts runs; null: none does."
  type = object({
    scheduler_enabled = optional(bool, true)
    github_repository = optional(string)
    github_branch     = optional(string, "main")
    secret_version    = optional(number, 1)
  })
  default = {}
}

variable "flower_login_version" {
  description = "Raise by one to give Flower a new password."
  type        = number
  default     = 1
}
