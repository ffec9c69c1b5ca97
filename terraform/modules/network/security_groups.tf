# Who may talk to whom, and on which port. This table is all that is open.
locals {
  tasks = ["api", "worker", "background", "beat", "flower", "migrate", "command"]

  connections = merge(
    {
      gateway_to_load_balancer = { from = "gateway", to = "load_balancer", port = var.listener_port }
      load_balancer_to_api     = { from = "load_balancer", to = "api", port = var.api_port }
      api_to_database          = { from = "api", to = "database", port = 5432 }
      worker_to_database       = { from = "worker", to = "database", port = 5432 }
      background_to_database   = { from = "background", to = "database", port = 5432 }
      migrate_to_database      = { from = "migrate", to = "database", port = 5432 }
      command_to_database      = { from = "command", to = "database", port = 5432 }
      api_to_cache             = { from = "api", to = "cache", port = 6379 }
      worker_to_cache          = { from = "worker", to = "cache", port = 6379 }
      background_to_cache      = { from = "background", to = "cache", port = 6379 }
      beat_to_cache            = { from = "beat", to = "cache", port = 6379 }
      flower_to_cache          = { from = "flower", to = "cache", port = 6379 }
      command_to_cache         = { from = "command", to = "cache", port = 6379 }
    },
    var.egress != "endpoints" ? {} : {
      for task in local.tasks : "${task}_to_endpoints" => { from = task, to = "endpoints", port = 443 }
    },
  )

  # Images, logs, secrets and report files are fetched by HTTPS; so are the partners' webhooks.
  https_through_nat = var.egress == "endpoints" ? [] : local.tasks

  # Spans leave the VPC by TLS only. Where there is a way out, the usual port of HTTPS is open already.
  collector_cidr    = try(var.collector.tls, false) && var.egress != "endpoints" ? "0.0.0.0/0" : var.cidr
  collector_is_open = var.collector == null || (local.collector_cidr == "0.0.0.0/0" && try(var.collector.port, null) == 443)
}

resource "aws_security_group" "party" {
  # checkov:skip=CKV2_AWS_5: attached by the modules that are handed these groups; checkov does not follow the map.
  for_each = toset(concat(
    local.tasks,
    ["gateway", "load_balancer", "database", "cache"],
    var.egress == "endpoints" ? ["endpoints"] : [],
  ))

  name        = "${var.name}-${each.key}"
  description = "Leadger ${each.key}"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "connection" {
  for_each = local.connections

  description                  = "from ${each.value.from}"
  security_group_id            = aws_security_group.party[each.value.to].id
  referenced_security_group_id = aws_security_group.party[each.value.from].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "connection" {
  for_each = local.connections

  description                  = "to ${each.value.to}"
  security_group_id            = aws_security_group.party[each.value.from].id
  referenced_security_group_id = aws_security_group.party[each.value.to].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = toset(local.https_through_nat)

  description       = "HTTPS to AWS and to webhooks"
  security_group_id = aws_security_group.party[each.key].id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "collector" {
  for_each = local.collector_is_open ? [] : toset(["api", "worker", "background", "beat"])

  description       = "spans to the collector"
  security_group_id = aws_security_group.party[each.key].id
  cidr_ipv4         = local.collector_cidr
  ip_protocol       = "tcp"
  from_port         = var.collector.port
  to_port           = var.collector.port
}

# A mail server outside of the VPC, unless there is no way out.
resource "aws_vpc_security_group_egress_rule" "mail" {
  count = var.mail_port == null ? 0 : 1

  description       = "mail to its server"
  security_group_id = aws_security_group.party["background"].id
  cidr_ipv4         = var.egress == "endpoints" ? var.cidr : "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = var.mail_port
  to_port           = var.mail_port
}

# Image layers and report files lie in S3, which has a gateway endpoint and no security group.
resource "aws_vpc_security_group_egress_rule" "s3" {
  for_each = var.egress == "endpoints" ? toset(local.tasks) : []

  description       = "S3 through its gateway endpoint"
  security_group_id = aws_security_group.party[each.key].id
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
