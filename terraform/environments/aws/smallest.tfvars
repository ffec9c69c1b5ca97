# The least that runs: for a trial, not for a ledger that somebody depends on.
environment = "trial"

network    = { egress = "single_nat" }
database   = { instance_class = "db.t4g.micro", storage_gb = 20, backup_days = 7 }
cache      = { node_type = "cache.t4g.micro", nodes = 1 }
api        = { cpu = 256, memory_mb = 512, min = 1, max = 2 }
worker     = { cpu = 512, memory_mb = 1024, concurrency = 2, min = 1, max = 2 }
background = { cpu = 256, memory_mb = 1024, concurrency = 1 }

log_retention_days = 14
