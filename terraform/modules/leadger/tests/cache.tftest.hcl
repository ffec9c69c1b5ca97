mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name              = "leadger-test"
  subnet_ids        = ["subnet-a", "subnet-b"]
  security_group_id = "sg-cache"
}

run "one_node_with_tls_and_token" {
  module {
    source = "../cache"
  }

  assert {
    condition     = tobool(aws_elasticache_replication_group.main.transit_encryption_enabled) && tobool(aws_elasticache_replication_group.main.at_rest_encryption_enabled)
    error_message = "Encrypted on the way and at rest."
  }

  assert {
    condition     = aws_elasticache_replication_group.main.auth_token == "0123456789abcdef0123456789abcdef"
    error_message = "Clients must present the token that lies in the secret."
  }

  assert {
    condition     = aws_elasticache_replication_group.main.auth_token_update_strategy == "ROTATE"
    error_message = "A new token comes beside the old one; the group is changed, not replaced."
  }

  assert {
    condition     = [for parameter in aws_elasticache_parameter_group.main.parameter : "${parameter.name}=${parameter.value}"] == ["maxmemory-policy=noeviction"]
    error_message = "Nothing is evicted."
  }

  assert {
    condition     = aws_elasticache_replication_group.main.cluster_mode == "disabled"
    error_message = "Celery cannot use cluster mode."
  }

  assert {
    condition = (
      aws_elasticache_replication_group.main.num_cache_clusters == 1
      && !aws_elasticache_replication_group.main.automatic_failover_enabled
      && !aws_elasticache_replication_group.main.multi_az_enabled
    )
    error_message = "One node has nothing to fail over to."
  }

  assert {
    condition     = aws_elasticache_replication_group.main.security_group_ids == toset(["sg-cache"])
    error_message = "In its own security group."
  }

  assert {
    condition     = coalesce(aws_secretsmanager_secret_version.url.secret_string, "none") == "none"
    error_message = "REDIS_URL is written, not kept in the state."
  }
}

run "two_nodes_fail_over" {
  module {
    source = "../cache"
  }

  variables {
    nodes = 2
  }

  assert {
    condition     = aws_elasticache_replication_group.main.automatic_failover_enabled && aws_elasticache_replication_group.main.multi_az_enabled
    error_message = "The second node takes over, from the other zone."
  }

  assert {
    condition     = output.node_ids == ["leadger-test-001", "leadger-test-002"]
    error_message = "Alarms watch both nodes."
  }
}

run "rotating_changes_the_token_and_the_url" {
  module {
    source = "../cache"
  }

  variables {
    nodes              = 2
    auth_token_version = 2
  }

  assert {
    condition     = aws_secretsmanager_secret_version.url.secret_string_wo_version == parseint(substr(sha256("cache.mock:6379:2"), 0, 8), 16)
    error_message = "REDIS_URL is written again."
  }

  assert {
    condition     = output.id == run.two_nodes_fail_over.id
    error_message = "The group is the same one: rotating a token never replaces it."
  }
}
