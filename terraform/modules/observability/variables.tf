variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "alarm_emails" {
  description = "Who is told of alarms; each address is asked to confirm first."
  type        = list(string)
  default     = []
}

variable "cluster_name" {
  description = "Cluster of the services."
  type        = string
}

variable "service_log_groups" {
  description = "Log group of each service: api, worker, background, beat, flower, migrate."
  type        = map(string)
}

variable "database_identifier" {
  description = "The main database instance."
  type        = string
}

variable "replica_identifiers" {
  description = "Read replicas."
  type        = list(string)
  default     = []
}

variable "database_storage_gb" {
  description = "Storage of the database at the start; the alarm is raised when a tenth of it is free."
  type        = number
  default     = 20
}

variable "cache_node_ids" {
  description = "Nodes of the cache."
  type        = list(string)
}

variable "gateway_api_id" {
  description = "Id of the HTTP API."
  type        = string
}

variable "load_balancer" {
  description = "Load balancer as CloudWatch names it."
  type        = string
}

variable "target_group" {
  description = "Target group as CloudWatch names it."
  type        = string
}

variable "inbox_age_alarm_s" {
  description = "Age of the oldest waiting lead at which people are told."
  type        = number
  default     = 120
}

variable "database_connections_alarm" {
  description = "Open database connections at which people are told; a db.t4g.micro takes about 80."
  type        = number
  default     = 60
}
