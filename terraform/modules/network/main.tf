data "aws_region" "current" {}

locals {
  # The zones that get a NAT gateway of their own.
  nat_zones = {
    nat_per_zone = var.zones
    single_nat   = slice(var.zones, 0, 1)
    endpoints    = []
  }[var.egress]
}

resource "aws_vpc" "main" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# A resource that names no security group of its own can reach nobody.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.main.id
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = var.name }
}
