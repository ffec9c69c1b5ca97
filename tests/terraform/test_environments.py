"""Both environments with a mocked provider: the same modules, other sizes and protections."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.terraform import costs
from tests.terraform.cli import Resource, Terraform

pytestmark = [pytest.mark.xdist_group("terraform"), pytest.mark.slow]

SERVICES = ("api", "worker", "background", "beat", "flower")
TASKS = (*SERVICES, "migrate", "command")
TRACES = '-var=traces={endpoint="https://traces.example.com:4318", share=0.01}'
_COMPOSE = Path(__file__).parents[2] / "compose"


class Made:
    """What one environment made, to be asked by address."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = resources

    def __getitem__(self, address: str) -> dict[str, Any]:
        (found,) = [one.values for one in self.resources if one.address == f"module.leadger.{address}"]
        return found

    def shape(self) -> set[str]:
        """The addresses without indexes."""
        return {one.address.split("[")[0] for one in self.resources if one.type != "terraform_data"}

    def rules(self, name: str) -> dict[str, dict[str, Any]]:
        """The rules of this name by which security groups let something out."""
        start = f"module.leadger.module.network.aws_vpc_security_group_egress_rule.{name}["
        return {one.address: one.values for one in self.resources if one.address.startswith(start)}

    def cores_and_memory_gb(self) -> tuple[float, float]:
        """Of the tasks that always run."""
        cores = memory_gb = 0.0
        for role in SERVICES:
            tasks = self[f"module.{role}.aws_ecs_service.main[0]"]["desired_count"]
            task = self[f"module.{role}.aws_ecs_task_definition.main"]
            cores, memory_gb = cores + tasks * int(task["cpu"]) / 1024, memory_gb + tasks * int(task["memory"]) / 1024
        return cores, memory_gb

    def container(self, role: str) -> dict[str, Any]:
        (container,) = json.loads(self[f"module.{role}.aws_ecs_task_definition.main"]["container_definitions"])
        assert isinstance(container, dict)
        return container


@pytest.fixture(scope="module")
def production(aws: Terraform) -> Made:
    return Made(aws.made_by_test("-var-file=production.tfvars"))


@pytest.fixture(scope="module")
def smallest(aws: Terraform) -> Made:
    # With two wishes more, so that it need not be made once again.
    routes = '-var=gateway={public_routes=["ANY /{proxy+}"]}'
    return Made(aws.made_by_test("-var-file=smallest.tfvars", routes, TRACES))


@pytest.fixture(scope="module")
def local(localstack: Terraform) -> Made:
    return Made(localstack.made_by_test(TRACES))


def test_both_environments_are_made_of_the_same_resources(smallest: Made, local: Made) -> None:
    assert smallest.shape() == local.shape()


def test_production_survives_the_loss_of_a_zone(production: Made) -> None:
    database = production["module.database.aws_db_instance.main"]
    assert (database["multi_az"], database["backup_retention_period"]) == (True, 35)
    assert database["manage_master_user_password"] is True
    cache = production["module.cache.aws_elasticache_replication_group.main"]
    assert (cache["num_cache_clusters"], cache["automatic_failover_enabled"]) == (2, True)
    assert len([one for one in production.resources if one.type == "aws_nat_gateway"]) == 2
    for role in ("api", "worker"):
        assert production[f"module.{role}.aws_appautoscaling_target.main[0]"]["min_capacity"] == 2


def test_aws_is_protected(production: Made, smallest: Made) -> None:
    for made in (production, smallest):
        assert _protections(made) == {
            "database": True,
            "final snapshot": True,
            "load balancer": True,
            "report files": True,
            "images": True,
            "tags": "IMMUTABLE",
            "secrets": 30,
            "task definitions": True,
        }
        assert len([one for one in made.resources if one.type == "terraform_data"]) == 2


def test_localstack_can_be_thrown_away(local: Made) -> None:
    assert _protections(local) == {
        "database": False,
        "final snapshot": False,
        "load balancer": False,
        "report files": False,
        "images": False,
        "tags": "MUTABLE",
        "secrets": 0,
        "task definitions": False,
    }


def _protections(made: Made) -> dict[str, Any]:
    database = made["module.database.aws_db_instance.main"]
    repository = made["module.registry.aws_ecr_repository.main"]
    return {
        "database": database["deletion_protection"],
        "final snapshot": not database["skip_final_snapshot"],
        "load balancer": made["module.gateway.aws_lb.main"]["enable_deletion_protection"],
        "report files": not made["module.storage.aws_s3_bucket.reports"]["force_destroy"],
        "images": not repository["force_delete"],
        "tags": repository["image_tag_mutability"],
        "secrets": made["module.database.aws_secretsmanager_secret.application_login"]["recovery_window_in_days"],
        "task definitions": made["module.api.aws_ecs_task_definition.main"]["skip_destroy"],
    }


def test_one_image_seven_commands(smallest: Made) -> None:
    containers = {role: smallest.container(role) for role in TASKS}
    assert len({container["image"] for container in containers.values()}) == 1
    assert {role: " ".join(container["command"]) for role, container in containers.items()} == {
        "api": "api --workers 1",
        "worker": "worker --concurrency 2",
        "background": "background --concurrency 1",
        "beat": "beat",
        "flower": "flower",
        "migrate": "migrate --application-login",
        "command": "leadger doctor",
    }
    assert {role: [port["containerPort"] for port in containers[role]["portMappings"]] for role in containers} == {
        "api": [8000],
        "worker": [],
        "background": [],
        "beat": [],
        "flower": [5555],
        "migrate": [],
        "command": [],
    }


def test_the_tasks_run_the_image_as_it_is_made(smallest: Made) -> None:
    """compose/start knows the words, the image has the ports, and what can be written to are its two volumes."""
    dockerfile, start = (_COMPOSE / "Dockerfile").read_text(), (_COMPOSE / "start").read_text()
    (words,) = re.findall(r"^    ([a-z| ]+)\) if ", start, re.MULTILINE)
    (volumes,) = re.findall(r"^VOLUME (.+)$", dockerfile, re.MULTILINE)
    (check,) = re.findall(r"^HEALTHCHECK .* CMD (.+)$", dockerfile, re.MULTILINE)
    (ports,) = re.findall(r"^EXPOSE (.+)$", dockerfile, re.MULTILINE)
    for role in TASKS:
        container = smallest.container(role)
        assert container["command"][0] == ("leadger" if role == "command" else role)
        assert (role in words.split(" | ")) == (role != "command")
        assert container["readonlyRootFilesystem"] is (role != "flower")  # ECS Exec does not work with it
        assert "user" not in container
        mounted = {mount["containerPath"] for mount in container["mountPoints"] if not mount["readOnly"]}
        assert mounted == set(json.loads(volumes))
        assert (container["healthCheck"]["command"] if role in SERVICES else None) == (
            ["CMD", *json.loads(check)] if role in SERVICES else None
        )
        settings = {pair["name"]: pair["value"] for pair in container["environment"]}
        assert "LEADGER_HOME" not in settings  # the health check looks where the image says
        opened = {str(mapping["containerPort"]) for mapping in container["portMappings"]}
        assert opened == {settings[name] for name in ("GRANIAN_PORT", "FLOWER_PORT") if name in settings}
        assert opened <= set(ports.split())


def test_the_gateway_has_the_routes_of_its_settings(smallest: Made, local: Made) -> None:
    def routes(made: Made) -> set[str]:
        return {one.values["route_key"] for one in made.resources if one.type == "aws_apigatewayv2_route"}

    assert routes(smallest) == {"ANY /{proxy+}"}
    assert {"ANY /leads", "GET /health"} < routes(local)
    assert len(routes(local)) == 6


def test_those_who_make_spans_know_the_collector(smallest: Made, local: Made) -> None:
    traced = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://traces.example.com:4318",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    for made in (smallest, local):
        told = {role: _traces(made.container(role)) for role in TASKS}
        assert told == {
            **dict.fromkeys(("api", "worker", "background", "beat"), traced),
            **{role: {} for role in ("flower", "migrate", "command")},
        }
        opened = {address.split('"')[1]: rule for address, rule in made.rules("collector").items()}
        assert set(opened) == {"api", "worker", "background", "beat"}
        for rule in opened.values():
            assert (rule["cidr_ipv4"], rule["from_port"], rule["to_port"]) == ("0.0.0.0/0", 4318, 4318)


def test_there_are_no_traces_unless_they_are_wanted(production: Made) -> None:
    assert [role for role in TASKS if _traces(production.container(role))] == []
    assert production.rules("collector") == {}


def _traces(container: dict[str, Any]) -> dict[str, str]:
    return {pair["name"]: pair["value"] for pair in container["environment"] if pair["name"].startswith("OTEL_")}


def test_each_task_gets_its_own_secrets_and_no_other(smallest: Made) -> None:
    def names(role: str) -> list[str]:
        return [secret["name"] for secret in smallest.container(role)["secrets"]]

    assert names("api") == names("worker") == names("background") == names("command") == ["DATABASE_URL", "REDIS_URL"]
    assert names("beat") == ["REDIS_URL"]
    assert names("flower") == ["FLOWER_BASIC_AUTH", "REDIS_URL"]
    assert names("migrate") == ["LEADGER_DATABASE_ADMIN_PASSWORD", "LEADGER_DATABASE_ADMIN_USER"]


def test_nobody_may_do_in_aws_what_is_not_theirs_to_do(smallest: Made) -> None:
    def statements(role: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(smallest[f"module.{role}.aws_iam_role_policy.task[0]"]["policy"])[
            "Statement"
        ]
        return found

    def actions(role: str) -> set[str]:
        return {action for statement in statements(role) for action in statement["Action"]}

    def where(role: str, action: str) -> set[str]:
        allowed = [one for one in statements(role) if action in one["Action"]]
        return {"/".join(arn.split("/")[1:]) for one in allowed for arn in one["Resource"]}

    assert actions("api") == {"s3:ListBucket", "s3:GetObject"}
    assert actions("worker") == actions("api") | {"s3:PutObject", "s3:AbortMultipartUpload"}
    assert all(action.startswith("ssmmessages:") for action in actions("flower"))
    assert actions("command") == actions("background") == actions("worker")
    assert where("command", "s3:PutObject") == where("migrate", "s3:GetObject") == {"backups/*"}
    assert where("worker", "s3:PutObject") == where("migrate", "s3:PutObject") == {"reports/*"}
    assert where("command", "s3:GetObject") == {"backups/*", "reports/*"}
    assert actions("migrate") == actions("worker") | {
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
    }
    assert not any("module.beat.aws_iam_role_policy.task" in one.address for one in smallest.resources)


def test_exactly_one_beat(production: Made) -> None:
    beat = production["module.beat.aws_ecs_service.main[0]"]
    assert beat["desired_count"] == 1
    assert (beat["deployment_minimum_healthy_percent"], beat["deployment_maximum_percent"]) == (0, 100)
    assert not any("module.beat.aws_appautoscaling" in one.address for one in production.resources)


def test_everything_stands_in_private_subnets(local: Made) -> None:
    made = local
    private = {one.values["id"] for one in made.resources if ".aws_subnet.private" in one.address}
    assert len(private) == 2
    assert set(made["module.database.aws_db_subnet_group.main"]["subnet_ids"]) == private
    assert set(made["module.cache.aws_elasticache_subnet_group.main"]["subnet_ids"]) == private
    assert set(made["module.gateway.aws_lb.main"]["subnets"]) == private
    assert set(made["module.gateway.aws_apigatewayv2_vpc_link.main"]["subnet_ids"]) == private
    for role in SERVICES:
        (network,) = made[f"module.{role}.aws_ecs_service.main[0]"]["network_configuration"]
        assert set(network["subnets"]) == private
        assert network["assign_public_ip"] is False


def test_the_costs_count_what_is_made(smallest: Made, production: Made) -> None:
    for size, made in (("smallest.tfvars", smallest), ("production.tfvars", production)):
        kinds = Counter(one.type for one in made.resources)
        cores, memory_gb = made.cores_and_memory_gb()
        rows = {name: products for name, (products, _) in costs.table(size).items()}
        # What AWS makes by itself: two alarms for autoscaling by requests, and the secret of a password that RDS keeps.
        alarms = kinds["aws_cloudwatch_metric_alarm"] + 2
        managed = bool(made["module.database.aws_db_instance.main"]["manage_master_user_password"])
        secrets = kinds["aws_secretsmanager_secret"] + managed
        filters = [one.values for one in made.resources if one.type == "aws_cloudwatch_log_metric_filter"]
        from_logs = len({each["metric_transformation"][0]["name"] for each in filters})
        assert rows["alarms, dashboard"] == f"{alarms} × 0.10 + 3.00"
        assert rows["metrics of Container Insights, from our logs"] == f"138 × 0.30 + {from_logs} × 0.30"
        assert rows["Fargate: cores, GB of memory"] == f"730 × {cores:g} × 0.04048 + 730 × {memory_gb:g} × 0.004445"
        assert rows["secrets; GB of images, of report files"].startswith(f"{secrets} × 0.40 + ")


def test_no_secret_is_a_plain_setting(production: Made) -> None:
    for role in TASKS:
        settings = {pair["name"]: pair["value"] for pair in production.container(role)["environment"]}
        assert set(settings) <= {
            "LOG_LEVEL",
            "GRANIAN_PORT",
            "FLOWER_PORT",
            "LEADGER_REPORT_FILES_URL",
            "LEADGER_URL",
            "API_BASE_URL",
            "LEADGER_REMINDER_DAYS",
            "DATABASE_URL",
            "LEADGER_DATABASE_HOST",
            "LEADGER_DATABASE_PORT",
            "LEADGER_DATABASE_NAME",
            "LEADGER_APPLICATION_LOGIN_SECRET_ARN",
        }
        assert settings.get("DATABASE_URL", "postgresql://none.invalid/none") == "postgresql://none.invalid/none"
