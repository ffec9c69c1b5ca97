"""What an installation has in AWS: asked service by service, and not of Terraform."""

import json
from typing import Any

from tests.terraform.emulator import Emulator

# Service, call, and where the answer lists what there is.
_CALLS = (
    ("ec2", "describe_vpcs", "Vpcs"),
    ("ec2", "describe_subnets", "Subnets"),
    ("ec2", "describe_security_groups", "SecurityGroups"),
    ("ec2", "describe_internet_gateways", "InternetGateways"),
    ("ec2", "describe_nat_gateways", "NatGateways"),
    ("ec2", "describe_addresses", "Addresses"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints"),
    ("rds", "describe_db_instances", "DBInstances"),
    ("rds", "describe_db_subnet_groups", "DBSubnetGroups"),
    ("rds", "describe_db_parameter_groups", "DBParameterGroups"),
    ("elasticache", "describe_replication_groups", "ReplicationGroups"),
    ("elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups"),
    ("elasticache", "describe_cache_parameter_groups", "CacheParameterGroups"),
    ("ecr", "describe_repositories", "repositories"),
    ("s3", "list_buckets", "Buckets"),
    ("secretsmanager", "list_secrets", "SecretList"),
    ("ecs", "describe_clusters", "clusters"),
    ("ecs", "describe_services", "services"),
    ("ecs", "list_task_definitions", "taskDefinitionArns"),
    ("iam", "list_roles", "Roles"),
    ("elbv2", "describe_load_balancers", "LoadBalancers"),
    ("elbv2", "describe_target_groups", "TargetGroups"),
    ("apigatewayv2", "get_apis", "Items"),
    ("apigatewayv2", "get_vpc_links", "Items"),
    ("application-autoscaling", "describe_scalable_targets", "ScalableTargets"),
    ("logs", "describe_log_groups", "logGroups"),
    ("cloudwatch", "describe_alarms", "MetricAlarms"),
    ("cloudwatch", "list_dashboards", "DashboardEntries"),
    ("sns", "list_topics", "Topics"),
)
# ECS and NAT gateways go on telling of what was deleted for a while.
_GONE = ("INACTIVE", "deleted")


def inventory(aws_api: Emulator, name: str) -> dict[str, int]:
    """How many of each there are with `name` anywhere in what AWS says of them."""
    words: dict[str, dict[str, Any]] = {
        "describe_clusters": {"clusters": [name]},
        "describe_services": {"cluster": name, "services": ["api", "worker", "background", "beat", "flower"]},
        "describe_scalable_targets": {"ServiceNamespace": "ecs"},
    }
    counts = {}
    for service, call, key in _CALLS:
        found = getattr(aws_api.client(service), call)(**words.get(call, {}))[key]
        counts[f"{service} {call}"] = sum(name in json.dumps(one, default=str) and _is_there(one) for one in found)
    return counts


def _is_there(one: Any) -> bool:
    return not isinstance(one, dict) or one.get("status", one.get("State")) not in _GONE
