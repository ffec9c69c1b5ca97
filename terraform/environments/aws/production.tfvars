# Survives the loss of a zone, and takes some thousand leads per second.
environment = "production"

network = { egress = "nat_per_zone" }

database = {
  instance_class    = "db.m7g.xlarge"
  storage_gb        = 400 # from here on gp3 has 12,000 IOPS
  max_storage_gb    = 2000
  multi_az          = true
  backup_days       = 35
  connections_alarm = 800
}

cache      = { node_type = "cache.m7g.large", nodes = 2 }
api        = { cpu = 2048, memory_mb = 4096, processes = 2, min = 2, max = 10, requests_per_minute = 12000 }
worker     = { cpu = 2048, memory_mb = 4096, concurrency = 4, min = 2, max = 10, inbox_age_s = 5 }
background = { cpu = 2048, memory_mb = 4096, concurrency = 2 }

gateway            = { requests_per_s = 2000, burst_requests = 4000 }
inbox_age_alarm_s  = 60
log_retention_days = 90
