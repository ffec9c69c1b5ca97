mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name  = "leadger-test"
  zones = ["eu-central-1a", "eu-central-1b"]
}

run "two_zones_public_and_private" {
  module {
    source = "../network"
  }

  assert {
    condition     = toset([for subnet in aws_subnet.public : subnet.availability_zone]) == toset(var.zones)
    error_message = "One public subnet per zone."
  }

  assert {
    condition     = toset([for subnet in aws_subnet.private : subnet.availability_zone]) == toset(var.zones)
    error_message = "One private subnet per zone."
  }

  assert {
    condition = length(distinct([
      for subnet in concat(values(aws_subnet.public), values(aws_subnet.private)) : subnet.cidr_block
    ])) == 4
    error_message = "Four subnets that do not overlap."
  }

  assert {
    condition     = !anytrue([for subnet in aws_subnet.public : coalesce(subnet.map_public_ip_on_launch, false)])
    error_message = "Nothing gets a public address by standing in a subnet."
  }

  assert {
    condition     = aws_route.public_to_internet.gateway_id == aws_internet_gateway.main.id
    error_message = "Public subnets lead to the internet gateway."
  }

  assert {
    condition     = length(aws_nat_gateway.main) == 1 && length(aws_route.private_to_nat) == 2
    error_message = "One NAT gateway serves both private subnets."
  }

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    error_message = "With NAT, S3 alone has an endpoint."
  }

  assert {
    condition     = aws_flow_log.refused.traffic_type == "REJECT"
    error_message = "Refused connections are logged."
  }
}

run "exactly_what_is_needed_is_open" {
  module {
    source = "../network"
  }

  assert {
    condition = toset([for rule in values(output.connections) : "${rule.from} > ${rule.to}:${rule.port}"]) == toset([
      "gateway > load_balancer:80",
      "load_balancer > api:8000",
      "api > database:5432", "worker > database:5432", "background > database:5432", "migrate > database:5432", "command > database:5432",
      "api > cache:6379", "worker > cache:6379", "background > cache:6379", "beat > cache:6379", "flower > cache:6379", "command > cache:6379",
    ])
    error_message = "The table of connections is not the one that was agreed on."
  }

  assert {
    condition = alltrue([
      for name, rule in output.connections :
      aws_vpc_security_group_ingress_rule.connection[name].security_group_id == aws_security_group.party[rule.to].id
      && aws_vpc_security_group_ingress_rule.connection[name].referenced_security_group_id == aws_security_group.party[rule.from].id
      && aws_vpc_security_group_ingress_rule.connection[name].from_port == rule.port
      && aws_vpc_security_group_ingress_rule.connection[name].to_port == rule.port
      && aws_vpc_security_group_ingress_rule.connection[name].ip_protocol == "tcp"
    ])
    error_message = "Each connection is let in at its one port, from its one party."
  }

  assert {
    condition = alltrue([
      for name, rule in output.connections :
      aws_vpc_security_group_egress_rule.connection[name].security_group_id == aws_security_group.party[rule.from].id
      && aws_vpc_security_group_egress_rule.connection[name].referenced_security_group_id == aws_security_group.party[rule.to].id
      && aws_vpc_security_group_egress_rule.connection[name].from_port == rule.port
      && aws_vpc_security_group_egress_rule.connection[name].to_port == rule.port
    ])
    error_message = "Each connection is let out at its one port, to its one party."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.connection : rule.cidr_ipv4 == null && rule.cidr_ipv6 == null])
    error_message = "Nobody is let in by address."
  }

  assert {
    condition = (
      toset(keys(aws_vpc_security_group_egress_rule.https)) == toset(["api", "worker", "background", "beat", "flower", "migrate", "command"])
      && alltrue([for rule in aws_vpc_security_group_egress_rule.https : rule.from_port == 443 && rule.to_port == 443])
    )
    error_message = "Tasks, and only tasks, reach the world, by HTTPS alone."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.collector) == 0
    error_message = "Without traces nothing is open for them."
  }

  assert {
    condition     = length(aws_default_security_group.closed.ingress) == 0 && length(aws_default_security_group.closed.egress) == 0
    error_message = "The default security group lets nothing through."
  }
}

run "a_plain_collector_is_reached_in_the_vpc" {
  module {
    source = "../network"
  }

  variables {
    collector = { port = 4318, tls = false }
  }

  assert {
    condition = (
      toset(keys(aws_vpc_security_group_egress_rule.collector)) == toset(["api", "worker", "background", "beat"])
      && alltrue([
        for task, rule in aws_vpc_security_group_egress_rule.collector :
        rule.security_group_id == aws_security_group.party[task].id && rule.cidr_ipv4 == "10.40.0.0/16"
        && rule.from_port == 4318 && rule.to_port == 4318 && rule.ip_protocol == "tcp"
      ])
    )
    error_message = "Those who make spans, and nobody else, reach its port, and no further than the VPC."
  }
}

run "a_collector_with_tls_is_reached_wherever_it_is" {
  module {
    source = "../network"
  }

  variables {
    collector = { port = 4318, tls = true }
  }

  assert {
    condition = (
      toset(keys(aws_vpc_security_group_egress_rule.collector)) == toset(["api", "worker", "background", "beat"])
      && alltrue([for rule in aws_vpc_security_group_egress_rule.collector : rule.cidr_ipv4 == "0.0.0.0/0" && rule.from_port == 4318 && rule.to_port == 4318])
    )
    error_message = "Its port is open to the world."
  }
}

run "the_port_of_https_is_open_already" {
  module {
    source = "../network"
  }

  variables {
    collector = { port = 443, tls = true }
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.collector) == 0
    error_message = "AWS refuses the same rule twice."
  }
}

run "without_a_way_out_the_collector_is_in_the_vpc" {
  module {
    source = "../network"
  }

  variables {
    egress    = "endpoints"
    collector = { port = 443, tls = true }
  }

  assert {
    condition = (
      toset(keys(aws_vpc_security_group_egress_rule.collector)) == toset(["api", "worker", "background", "beat"])
      && alltrue([for rule in aws_vpc_security_group_egress_rule.collector : rule.cidr_ipv4 == "10.40.0.0/16" && rule.from_port == 443])
    )
    error_message = "No task may reach an address outside."
  }
}

run "a_nat_gateway_per_zone" {
  module {
    source = "../network"
  }

  variables {
    egress = "nat_per_zone"
  }

  assert {
    condition     = toset(keys(aws_nat_gateway.main)) == toset(var.zones)
    error_message = "Each zone has a NAT gateway."
  }

  assert {
    condition = alltrue([
      for zone in var.zones :
      aws_route.private_to_nat[zone].nat_gateway_id == aws_nat_gateway.main[zone].id
      && aws_nat_gateway.main[zone].subnet_id == aws_subnet.public[zone].id
    ])
    error_message = "Each private subnet uses the NAT gateway of its own zone."
  }
}

run "endpoints_instead_of_nat" {
  module {
    source = "../network"
  }

  variables {
    egress = "endpoints"
  }

  assert {
    condition     = length(aws_nat_gateway.main) == 0 && length(aws_eip.nat) == 0 && length(aws_route.private_to_nat) == 0
    error_message = "There is no way out of the private subnets."
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["ecr.api", "ecr.dkr", "logs", "secretsmanager", "ssmmessages"])
    error_message = "A task can fetch its image and secrets, and write its log."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.https) == 0
    error_message = "No task may reach an address outside."
  }

  assert {
    condition     = length([for rule in values(output.connections) : rule if rule.to == "endpoints" && rule.port == 443]) == 7
    error_message = "Each task reaches the endpoints."
  }
}

run "two_zones_or_nothing" {
  command = plan

  module {
    source = "../network"
  }

  variables {
    zones = ["eu-central-1a"]
  }

  expect_failures = [var.zones]
}
