output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.main.id
}

output "public_subnet_ids" {
  description = "One public subnet per zone."
  value       = [for zone in var.zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "One private subnet per zone."
  value       = [for zone in var.zones : aws_subnet.private[zone].id]
}

output "security_group_ids" {
  description = "Security group of each party: gateway, load_balancer, api, worker, beat, flower, migrate, command, database, cache."
  value       = { for party, group in aws_security_group.party : party => group.id }
}

output "connections" {
  description = "Who may talk to whom, and on which port."
  value       = local.connections
}
