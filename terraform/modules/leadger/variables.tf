variable "name" {
  description = "Prefix of every name: leadger and the environment. At most 20 characters, because a load balancer's name has 32."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "name must be 2 to 20 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "image_tag" {
  description = "Tag of the image that every task runs."
  type        = string
}

variable "extra_environment" {
  description = "More settings for every container, e.g. AWS_ENDPOINT_URL on LocalStack."
  type        = map(string)
  default     = {}
}

variable "secret_settings" {
  description = "Settings of the API and the workers that are secrets, by name with their ARNs in Secrets Manager: SMTP_URL, GITHUB_API_TOKEN, SLACK_WEBHOOK_URL, BILLING_NOTIFICATION_WEBHOOK_URL, LEADGER_WEBHOOK_KEY."
  type        = map(string)
  default     = {}
}

variable "log_level" {
  description = "LOG_LEVEL of every container: INFO or DEBUG, because the age of the inbox is a figure in the log."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["INFO", "DEBUG"], var.log_level)
    error_message = "log_level must be INFO or DEBUG: with less, nobody would see how long leads wait."
  }
}

variable "network" {
  description = "Two availability zones, address range, and how private subnets reach the world: nat_per_zone, single_nat or endpoints."
  type = object({
    zones  = list(string)
    cidr   = optional(string, "10.40.0.0/16")
    egress = optional(string, "single_nat")
  })
}

variable "database" {
  description = "Size and safety of PostgreSQL."
  type = object({
    engine_version          = optional(string, "17")
    instance_class          = optional(string, "db.t4g.micro")
    storage_gb              = optional(number, 20)
    max_storage_gb          = optional(number, 100)
    multi_az                = optional(bool, false)
    read_replicas           = optional(number, 0)
    master_password_version = optional(number, 1)
    backup_days             = optional(number, 7)
    monitoring_interval_s   = optional(number, 60)
    connections_alarm       = optional(number, 60)
  })
  default = {}
}

variable "cache" {
  description = "Size of the cache. Raise auth_token_version by one to rotate its token."
  type = object({
    node_type          = optional(string, "cache.t4g.micro")
    nodes              = optional(number, 1)
    snapshot_days      = optional(number, 0)
    auth_token_version = optional(number, 1)
  })
  default = {}
}

variable "api" {
  description = "Size of the api: CPU units and memory of a task, server processes in it, number of tasks, and what makes it grow."
  type = object({
    cpu                 = optional(number, 512)
    memory_mb           = optional(number, 1024)
    processes           = optional(number, 1)
    min                 = optional(number, 1)
    max                 = optional(number, 4)
    requests_per_minute = optional(number, 6000)
  })
  default = {}
}

variable "worker" {
  description = "Size of the worker for leads: CPU units and memory of a task, child processes in it, number of tasks, and what makes it grow."
  type = object({
    cpu         = optional(number, 512)
    memory_mb   = optional(number, 1024)
    concurrency = optional(number, 2)
    min         = optional(number, 1)
    max         = optional(number, 4)
    inbox_age_s = optional(number, 5)
  })
  default = {}
}

variable "background" {
  description = "Size of the worker for background tasks: CPU units and memory of its task, child processes in it."
  type = object({
    cpu         = optional(number, 512)
    memory_mb   = optional(number, 1024)
    concurrency = optional(number, 2)
  })
  default = {}
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

variable "cpu_architecture" {
  description = "X86_64 or ARM64, as the image was built."
  type        = string
  default     = "X86_64"
}

variable "gateway" {
  description = "The public gateway: throttling, routes (null for those of the gateway module), and the certificate of the load balancer behind it."
  type = object({
    requests_per_s = optional(number, 500)
    burst_requests = optional(number, 1000)
    public_routes  = optional(list(string))
    certificate    = optional(object({ arn = string, domain = string }))
  })
  default = {}
}

variable "traces" {
  description = "Collector of OpenTelemetry traces (OTLP over HTTP), share of the requests that are traced, and a secret with the headers it asks for; null for no traces."
  type = object({
    endpoint           = string
    share              = optional(number, 1)
    headers_secret_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.traces == null || can(regex("^https?://[^/:@?#[:space:]]+(:[0-9]+)?(/[^@?#[:space:]]*)?$", var.traces.endpoint))
    error_message = "traces.endpoint must be an http:// or https:// address without user, password and query: what is secret belongs into headers_secret_arn."
  }

  validation {
    condition     = var.traces == null || try(var.traces.share >= 0 && var.traces.share <= 1, false)
    error_message = "traces.share must be from 0 to 1."
  }
}

variable "mail" {
  description = "Sender of mail, a secret with SMTP_URL (smtp:// or smtps://, user and password in it), and the port of that server; null: nothing is sent."
  type = object({
    from                = string
    smtp_url_secret_arn = string
    port                = optional(number, 587)
  })
  default = null

  validation {
    condition     = var.mail == null || can(regex("^[^@[:space:]]*[^@]*@[^@[:space:]]+$", var.mail.from))
    error_message = "mail.from must be an address, like bills@example.com or Bills <bills@example.com>."
  }

  validation {
    condition     = var.mail == null || try(var.mail.port != 25 && var.mail.port > 0 && var.mail.port < 65536, false)
    error_message = "mail.port must be a port other than 25, which AWS keeps closed: 587, or 465 for smtps://."
  }
}

variable "reminder_days" {
  description = "Days after the due date on which partners are reminded of a bill; []: never."
  type        = list(number)
  default     = [3, 14, 30]
}

variable "alarm_emails" {
  description = "Who is told of alarms."
  type        = list(string)
  default     = []
}

variable "inbox_age_alarm_s" {
  description = "Age of the oldest waiting lead at which people are told."
  type        = number
  default     = 120
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30
}

variable "protected" {
  description = "Refuse to delete what holds data, and keep deleted secrets for a while."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Key for everything that is stored; null leaves it to the keys that AWS manages."
  type        = string
  default     = null
}
