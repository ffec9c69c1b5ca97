"""The LocalStack environment, unmodified, applied to an emulator of AWS; then AWS's own API is asked what is there.

moto stands in for LocalStack here: it remembers what it is told, runs no container and checks no permission. Traces are
switched on. The last test destroys what the others ask about.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.validate import ParamValidator

from tests.people import PASSWORD
from tests.stack import Stack
from tests.terraform.cli import Resource, Terraform
from tests.terraform.emulator import Emulator, running_emulator
from tests.terraform.gateway import Gateway, open_gateway
from tests.terraform.inventory import inventory
from tests.terraform.report_files import put_report_files

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("localstack")]

NAME = "leadger-local"
SERVICES = ("api", "worker", "background", "beat", "flower")
TASKS = (*SERVICES, "migrate", "command")


@pytest.fixture(scope="module")
def aws_api() -> Iterator[Emulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def headers(aws_api: Emulator) -> str:
    """The secret with the key of the collector, which its owner made."""
    secrets = aws_api.client("secretsmanager")
    arn: str = secrets.create_secret(Name="collector", SecretString="authorization=Bearer%20word")["ARN"]
    return arn


@pytest.fixture(scope="module")
def variables(aws_api: Emulator, headers: str) -> list[str]:
    traces = {"endpoint": "http://collector:4318", "share": 0.5, "headers_secret_arn": headers}
    return ["-input=false", f"-var=endpoint={aws_api.url}", f"-var=traces={json.dumps(traces)}"]


@pytest.fixture(scope="module")
def applied(localstack: Terraform, variables: list[str]) -> list[Resource]:
    localstack.run("apply", "-auto-approve", *variables)
    return localstack.state()


@pytest.fixture(scope="module")
def outputs(localstack: Terraform, applied: list[Resource]) -> dict[str, Any]:
    return {name: output["value"] for name, output in json.loads(localstack.run("output", "-json")).items()}


@pytest.fixture(scope="module")
def groups(applied: list[Resource], aws_api: Emulator) -> dict[str, str]:
    """Security group ids by party."""
    found = aws_api.client("ec2").describe_security_groups()["SecurityGroups"]
    return {
        group["GroupName"].removeprefix(f"{NAME}-"): group["GroupId"]
        for group in found
        if group["GroupName"].startswith(NAME)
    }


@pytest.fixture(scope="module")
def private_subnets(applied: list[Resource], aws_api: Emulator) -> set[str]:
    """The subnets whose way out is a NAT gateway."""
    tables = aws_api.client("ec2").describe_route_tables()["RouteTables"]
    return {
        association["SubnetId"]
        for table in tables
        if any("NatGatewayId" in route for route in table["Routes"])
        for association in table["Associations"]
        if "SubnetId" in association
    }


@pytest.fixture(scope="module")
def definitions(applied: list[Resource], aws_api: Emulator) -> dict[str, dict[str, Any]]:
    """Task definitions by role."""
    ecs = aws_api.client("ecs")
    arns = ecs.list_task_definitions()["taskDefinitionArns"]
    found = [ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"] for arn in arns]
    return {definition["family"].removeprefix(f"{NAME}-"): definition for definition in found}


@pytest.fixture(scope="module")
def services(applied: list[Resource], aws_api: Emulator) -> dict[str, dict[str, Any]]:
    """ECS services by name."""
    found = aws_api.client("ecs").describe_services(cluster=NAME, services=list(SERVICES))["services"]
    return {service["serviceName"]: service for service in found}


def test_a_second_plan_makes_and_destroys_nothing(
    localstack: Terraform, variables: list[str], applied: list[Resource]
) -> None:
    # moto forgets some attributes, so updates are planned; a resource that had to be made again would be our fault.
    localstack.run("plan", "-out=again.tfplan", *variables)
    changes = json.loads(localstack.run("show", "-json", "again.tfplan"))["resource_changes"]
    assert {action for change in changes for action in change["change"]["actions"]} <= {"no-op", "read", "update"}
    assert len(applied) > 150


def test_subnets(applied: list[Resource], aws_api: Emulator, private_subnets: set[str]) -> None:
    ec2 = aws_api.client("ec2")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [NAME]}])["Vpcs"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    zones = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}
    assert len(zones) == 4
    assert {zones[subnet] for subnet in private_subnets} == {"us-east-1a", "us-east-1b"}
    assert {zones[subnet] for subnet in zones.keys() - private_subnets} == {"us-east-1a", "us-east-1b"}
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)


def test_security_groups_open_exactly_what_is_needed(aws_api: Emulator, groups: dict[str, str]) -> None:
    ec2 = aws_api.client("ec2")
    names = {group_id: name for name, group_id in groups.items()}
    let_in, let_out = set(), set()
    for name, group_id in groups.items():
        for rule in ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group_id]}])[
            "SecurityGroupRules"
        ]:
            assert rule["FromPort"] == rule["ToPort"]
            other = rule.get("ReferencedGroupInfo", {}).get("GroupId")
            party = names[other] if other else rule["CidrIpv4"]
            if rule["IsEgress"]:
                let_out.add((name, party, rule["FromPort"]))
            else:
                let_in.add((party, name, rule["FromPort"]))
    assert let_in == {
        ("gateway", "load_balancer", 80),
        ("load_balancer", "api", 8000),
        *((task, "database", 5432) for task in ("api", "worker", "background", "migrate", "command")),
        *((task, "cache", 6379) for task in (*SERVICES, "command")),
    }
    to_the_world = {(task, "0.0.0.0/0", 443) for task in TASKS}
    to_the_collector = {(task, "10.40.0.0/16", 4318) for task in ("api", "worker", "background", "beat")}
    assert let_out == let_in | to_the_world | to_the_collector


def test_services(
    services: dict[str, dict[str, Any]],
    definitions: dict[str, dict[str, Any]],
    groups: dict[str, str],
    private_subnets: set[str],
) -> None:
    assert set(services) == set(SERVICES)
    assert set(definitions) == set(TASKS)
    for role, service in services.items():
        network = service["networkConfiguration"]["awsvpcConfiguration"]
        assert set(network["subnets"]) == private_subnets
        assert network["securityGroups"] == [groups[role]]
        assert network["assignPublicIp"] == "DISABLED"
        assert service["launchType"] == "FARGATE"
        assert service["desiredCount"] == 1
        assert service["taskDefinition"] == definitions[role]["taskDefinitionArn"]


def test_task_definitions(definitions: dict[str, dict[str, Any]], outputs: dict[str, Any], aws_api: Emulator) -> None:
    containers = {role: definition["containerDefinitions"][0] for role, definition in definitions.items()}
    (repository,) = aws_api.client("ecr").describe_repositories(repositoryNames=[NAME])["repositories"]
    assert {container["image"] for container in containers.values()} == {f"{repository['repositoryUri']}:local"}
    assert {role: " ".join(container["command"]) for role, container in containers.items()} == {
        "api": "api --workers 1",
        "worker": "worker --concurrency 2",
        "background": "background --concurrency 2",
        "beat": "beat",
        "flower": "flower",
        "migrate": "migrate --application-login",
        "command": "leadger doctor",
    }
    assert {
        role: [port["containerPort"] for port in container["portMappings"]] for role, container in containers.items()
    } == {
        "api": [8000],
        "worker": [],
        "background": [],
        "beat": [],
        "flower": [5555],
        "migrate": [],
        "command": [],
    }
    log_groups = {group["logGroupName"] for group in aws_api.client("logs").describe_log_groups()["logGroups"]}
    for role, container in containers.items():
        assert container["readonlyRootFilesystem"] is (role != "flower")
        assert container["logConfiguration"]["options"]["awslogs-group"] == f"/{NAME}/{role}"
        assert f"/{NAME}/{role}" in log_groups
    settings = {pair["name"]: pair["value"] for pair in containers["worker"]["environment"]}
    assert settings["LEADGER_REPORT_FILES_URL"] == f"s3://{outputs['report_files_bucket']}/reports"
    assert settings["AWS_ENDPOINT_URL"] == "http://localhost.localstack.cloud:4566"


def test_every_secret_of_a_task_is_there_and_may_be_read_by_it(
    definitions: dict[str, dict[str, Any]], outputs: dict[str, Any], aws_api: Emulator
) -> None:
    secrets, iam = aws_api.client("secretsmanager"), aws_api.client("iam")
    wanted: dict[str, set[str]] = {}
    for role, definition in definitions.items():
        (container,) = definition["containerDefinitions"]
        arns = set()
        for secret in container["secrets"]:
            arn = re.sub(r":(username|password)::$", "", secret["valueFrom"])
            assert secrets.describe_secret(SecretId=arn)["ARN"] == arn
            arns.add(arn)
        wanted[role] = {secret["name"] for secret in container["secrets"]}
        role_name = definition["executionRoleArn"].split("/")[-1]
        document = iam.get_role_policy(RoleName=role_name, PolicyName="start")["PolicyDocument"]
        (readable,) = [one["Resource"] for one in document["Statement"] if one["Sid"] == "Secrets"]
        assert set(readable) == arns
    assert wanted == {
        "api": {"DATABASE_URL", "REDIS_URL", "OTEL_EXPORTER_OTLP_HEADERS"},
        "worker": {"DATABASE_URL", "REDIS_URL", "OTEL_EXPORTER_OTLP_HEADERS"},
        "background": {"DATABASE_URL", "REDIS_URL", "OTEL_EXPORTER_OTLP_HEADERS"},
        "beat": {"REDIS_URL", "OTEL_EXPORTER_OTLP_HEADERS"},
        "flower": {"REDIS_URL", "FLOWER_BASIC_AUTH"},
        "migrate": {"LEADGER_DATABASE_ADMIN_USER", "LEADGER_DATABASE_ADMIN_PASSWORD"},
        "command": {"DATABASE_URL", "REDIS_URL"},
    }
    # The application's login is made by the migrate task, which alone may write it.
    assert "VersionIdsToStages" not in secrets.describe_secret(SecretId=outputs["application_login_secret_arn"])
    document = iam.get_role_policy(RoleName=f"{NAME}-migrate-task", PolicyName="run")["PolicyDocument"]
    assert document["Statement"][0]["Resource"] == [outputs["application_login_secret_arn"]]
    assert iam.list_role_policies(RoleName=f"{NAME}-beat-task")["PolicyNames"] == []


def test_those_who_make_spans_know_the_collector(definitions: dict[str, dict[str, Any]], headers: str) -> None:
    containers = {role: definition["containerDefinitions"][0] for role, definition in definitions.items()}
    told = {
        role: {pair["name"]: pair["value"] for pair in container["environment"] if pair["name"].startswith("OTEL_")}
        for role, container in containers.items()
    }
    traced = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
    }
    assert told == {
        **dict.fromkeys(("api", "worker", "background", "beat"), traced),
        **{role: {} for role in ("flower", "migrate", "command")},
    }
    for role in ("api", "worker", "background", "beat"):
        assert {"name": "OTEL_EXPORTER_OTLP_HEADERS", "valueFrom": headers} in containers[role]["secrets"]


def test_redis_url_leads_to_the_cache_with_its_token(
    definitions: dict[str, dict[str, Any]], groups: dict[str, str], aws_api: Emulator
) -> None:
    cache = aws_api.client("elasticache")
    (group,) = cache.describe_replication_groups(ReplicationGroupId=NAME)["ReplicationGroups"]
    assert group["AuthTokenEnabled"] is True
    assert group["TransitEncryptionEnabled"] is True
    assert group["ClusterEnabled"] is False
    endpoint = group["NodeGroups"][0]["PrimaryEndpoint"]
    (arn,) = {
        secret["valueFrom"]
        for definition in definitions.values()
        for secret in definition["containerDefinitions"][0]["secrets"]
        if secret["name"] == "REDIS_URL"
    }
    url = aws_api.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    place = f"{endpoint['Address']}:{endpoint['Port']}"
    assert re.fullmatch(rf"rediss://:[0-9a-f]{{64}}@{re.escape(place)}/0\?ssl_cert_reqs=required", url)
    (member,) = cache.describe_cache_clusters(CacheClusterId=group["MemberClusters"][0])["CacheClusters"]
    parameter_group = member["CacheParameterGroup"]["CacheParameterGroupName"]
    parameters = cache.describe_cache_parameters(CacheParameterGroupName=parameter_group)["Parameters"]
    assert {one["ParameterName"]: one["ParameterValue"] for one in parameters} == {"maxmemory-policy": "noeviction"}
    assert [one["SecurityGroupId"] for one in member["SecurityGroups"]] == [groups["cache"]]


def test_the_state_holds_one_secret_and_no_password(applied: list[Resource], aws_api: Emulator) -> None:
    secrets = aws_api.client("secretsmanager")
    values = {}
    for secret in secrets.list_secrets()["SecretList"]:
        if secret["Name"].startswith(f"{NAME}/") and "database-url" not in secret["Name"]:
            values[secret["Name"].rsplit("-", 1)[0]] = secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"]
    assert set(values) == {f"{NAME}/cache-auth-token", f"{NAME}/redis-url", f"{NAME}/flower-login"}
    state = json.dumps([resource.values for resource in applied])
    assert values[f"{NAME}/flower-login"] not in state
    assert values[f"{NAME}/redis-url"] not in state
    assert state.count(values[f"{NAME}/cache-auth-token"]) == 1  # ElastiCache has no write-only argument for it
    assert re.fullmatch(r"flower:[0-9a-f]{64}", values[f"{NAME}/flower-login"])


def test_the_database(groups: dict[str, str], private_subnets: set[str], aws_api: Emulator) -> None:
    rds = aws_api.client("rds")
    (database,) = rds.describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
    assert database["Engine"] == "postgres"
    assert database["StorageEncrypted"] is True
    assert database["PubliclyAccessible"] is False
    assert database["BackupRetentionPeriod"] == 1
    assert database["MasterUserSecret"]["SecretArn"]
    assert [one["VpcSecurityGroupId"] for one in database["VpcSecurityGroups"]] == [groups["database"]]
    (subnet_group,) = rds.describe_db_subnet_groups(DBSubnetGroupName=NAME)["DBSubnetGroups"]
    assert {subnet["SubnetIdentifier"] for subnet in subnet_group["Subnets"]} == private_subnets


def test_the_gateway_leads_down_to_the_api_tasks(
    services: dict[str, dict[str, Any]], groups: dict[str, str], private_subnets: set[str], aws_api: Emulator
) -> None:
    gateway, balancing = aws_api.client("apigatewayv2"), aws_api.client("elbv2")
    (api,) = [one for one in gateway.get_apis()["Items"] if one["Name"] == NAME]
    routes = gateway.get_routes(ApiId=api["ApiId"])["Items"]
    keys = {route["RouteKey"] for route in routes}
    assert {"GET /", "ANY /welcome", "ANY /welcome/{proxy+}", "ANY /static/{proxy+}", "ANY /bills"} <= keys
    assert not {"ANY /{proxy+}", "$default", "GET /metrics", "GET /ready"} & keys
    assert keys >= {
        "ANY /leads",
        "ANY /leads/{proxy+}",
        "ANY /billing/reports",
        "ANY /billing/reports/{proxy+}",
        "ANY /api/{proxy+}",
        "GET /health",
    }
    (target,) = {route["Target"] for route in routes}
    integration = gateway.get_integration(ApiId=api["ApiId"], IntegrationId=target.removeprefix("integrations/"))
    assert integration["ConnectionType"] == "VPC_LINK"
    link = gateway.get_vpc_link(VpcLinkId=integration["ConnectionId"])
    assert set(link["SubnetIds"]) == private_subnets
    assert link["SecurityGroupIds"] == [groups["gateway"]]
    (listener,) = balancing.describe_listeners(ListenerArns=[integration["IntegrationUri"]])["Listeners"]
    assert listener["Port"] == 80
    (balancer,) = balancing.describe_load_balancers(LoadBalancerArns=[listener["LoadBalancerArn"]])["LoadBalancers"]
    assert balancer["Scheme"] == "internal"
    assert balancer["SecurityGroups"] == [groups["load_balancer"]]
    target_group_arn = listener["DefaultActions"][0]["TargetGroupArn"]
    (target_group,) = balancing.describe_target_groups(TargetGroupArns=[target_group_arn])["TargetGroups"]
    assert (target_group["Port"], target_group["TargetType"], target_group["HealthCheckPath"]) == (8000, "ip", "/ready")
    joined = {role: service["loadBalancers"] for role, service in services.items() if service["loadBalancers"]}
    assert joined == {"api": [{"targetGroupArn": target_group_arn, "containerName": "api", "containerPort": 8000}]}
    stage = gateway.get_stage(ApiId=api["ApiId"], StageName="$default")
    assert stage["AutoDeploy"] is True
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 500
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] == 1000


def test_a_person_walks_from_the_gateway_to_the_pages(
    applied: list[Resource], definitions: dict[str, dict[str, Any]], aws_api: Emulator, stack: Stack
) -> None:
    """With real requests, by the routes and the listener that Terraform made; a stack here is the container."""
    (container,) = definitions["api"]["containerDefinitions"]
    port = container["portMappings"][0]["containerPort"]
    gateway = Gateway(aws_api, NAME, {(container["name"], port): stack.url})
    with open_gateway(gateway) as url, httpx.Client(base_url=url, headers={"Accept": "text/html"}) as person:
        led = person.get("/")
        assert (led.status_code, led.headers["location"]) == (303, "/welcome")
        welcome = person.get("/welcome")
        assert (welcome.status_code, welcome.headers["content-type"]) == (200, "text/html; charset=utf-8")
        for name in re.findall(r'(?:href|src)="(/static/[^"]+)"', welcome.text):
            assert person.get(name).status_code == 200, name
        typed = {"name": "Gail", "email": "gail@example.com", "password": PASSWORD}
        assert person.post("/welcome/sign-up", data=typed).status_code == 303
        assert person.post("/welcome/sign-in", data=typed | {"next": "/account"}).headers["location"] == "/account"
        assert "You have no role yet" in person.get("/account").text
        key = {"Authorization": f"Bearer {stack.key}", "Accept": "application/json"}
        assert person.get("/api/bills", headers=key).json()["items"] == []
        assert person.get("/health").status_code == 200
        for hidden in ("/metrics", "/ready", "/docs", "/nothing", "/welcomes"):
            answer = person.get(hidden)
            assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"}), hidden


def test_report_files(outputs: dict[str, Any], definitions: dict[str, dict[str, Any]], aws_api: Emulator) -> None:
    s3, iam, bucket = aws_api.client("s3"), aws_api.client("iam"), outputs["report_files_bucket"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 90
    may = {
        role: {
            action
            for statement in iam.get_role_policy(RoleName=f"{NAME}-{role}-task", PolicyName="run")["PolicyDocument"][
                "Statement"
            ]
            for action in statement["Action"]
            if action.startswith("s3:") and f"arn:aws:s3:::{bucket}" in statement["Resource"][0]
        }
        for role in ("api", "worker", "background", "flower", "migrate", "command")
    }
    assert may == {
        "api": {"s3:ListBucket", "s3:GetObject"},
        "worker": {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"},
        "background": {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"},
        "flower": set(),
        "migrate": {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"},
        "command": {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"},
    }


def test_autoscaling(applied: list[Resource], aws_api: Emulator) -> None:
    scaling, watch = aws_api.client("application-autoscaling"), aws_api.client("cloudwatch")
    targets = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert {one["ResourceId"]: (one["MinCapacity"], one["MaxCapacity"]) for one in targets} == {
        f"service/{NAME}/api": (1, 2),
        f"service/{NAME}/worker": (1, 2),
    }
    policies = {
        one["PolicyName"]: one for one in scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    }
    assert {name: one["PolicyType"] for name, one in policies.items()} == {
        f"{NAME}-api-requests": "TargetTrackingScaling",
        f"{NAME}-worker-inbox-older": "StepScaling",
        f"{NAME}-worker-inbox-younger": "StepScaling",
    }
    alarms = {one["AlarmName"]: one for one in watch.describe_alarms()["MetricAlarms"]}
    for alarm, policy in (("scale-out", "inbox-older"), ("scale-in", "inbox-younger")):
        assert alarms[f"{NAME}-worker-{alarm}"]["MetricName"] == "InboxAge"
        assert alarms[f"{NAME}-worker-{alarm}"]["AlarmActions"] == [policies[f"{NAME}-worker-{policy}"]["PolicyARN"]]


def test_alarms_and_dashboard(applied: list[Resource], aws_api: Emulator) -> None:
    watch, logs = aws_api.client("cloudwatch"), aws_api.client("logs")
    ours = [one for one in watch.describe_alarms()["MetricAlarms"] if one["AlarmName"].startswith(NAME)]
    alarms = [one for one in ours if "-scale-" not in one["AlarmName"]]
    (topic,) = {action for alarm in alarms for action in alarm["AlarmActions"]}
    assert topic.endswith(f":{NAME}-alarms")
    assert {"inbox-age", "gateway-5xx", "beat-absent", "database-storage"} <= {
        alarm["AlarmName"].removeprefix(f"{NAME}-") for alarm in alarms
    }
    # Whatever an alarm watches in our own namespace is filled from a log by a filter.
    filled = {
        change["metricName"]
        for one in logs.describe_metric_filters()["metricFilters"]
        for change in one["metricTransformations"]
    }
    assert {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == f"Leadger/{NAME}"} <= filled
    body = json.loads(watch.get_dashboard(DashboardName=NAME)["DashboardBody"])
    assert len(body["widgets"]) == 8


@pytest.mark.parametrize("role", ["migrate", "command"])
def test_one_off_tasks_can_be_run_as_the_outputs_say(
    outputs: dict[str, Any],
    definitions: dict[str, dict[str, Any]],
    groups: dict[str, str],
    aws_api: Emulator,
    role: str,
) -> None:
    request = outputs[f"{role}_run"]
    assert request["cluster"] == NAME == outputs["cluster_name"]  # also the first word of the logs' names
    assert request["taskDefinition"] == definitions[role]["taskDefinitionArn"]
    assert request["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] == [groups[role]]
    shape = aws_api.client("ecs").meta.service_model.operation_model("RunTask").input_shape
    assert not ParamValidator().validate(request, shape).has_errors()


def test_an_apply_for_the_migration_alone_tells_its_new_image(
    localstack: Terraform, variables: list[str], outputs: dict[str, Any], aws_api: Emulator
) -> None:
    """The first step of each release. Failed before: the output went on naming the task definition before."""
    localstack.run("apply", "-auto-approve", *variables, "-var=image_tag=next", "-target=module.leadger.module.migrate")
    request = json.loads(localstack.run("output", "-json", "migrate_run"))
    assert request["taskDefinition"] != outputs["migrate_run"]["taskDefinition"]
    definition = aws_api.client("ecs").describe_task_definition(taskDefinition=request["taskDefinition"])
    (container,) = definition["taskDefinition"]["containerDefinitions"]
    assert container["image"].endswith(f"/{NAME}:next")


def test_destroy_leaves_nothing(
    localstack: Terraform, variables: list[str], applied: list[Resource], outputs: dict[str, Any], aws_api: Emulator
) -> None:
    # Without protections neither report files nor their old versions nor images stand in the way.
    put_report_files(aws_api, outputs["report_files_bucket"])
    image = {"imageManifest": "{}", "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json"}
    aws_api.client("ecr").put_image(repositoryName=NAME, imageTag="local", **image)
    before = inventory(aws_api, NAME)
    assert 0 not in before.values(), before
    assert f"Resources: {len(applied)} destroyed." in localstack.run("destroy", "-auto-approve", *variables)
    assert localstack.state() == []
    assert inventory(aws_api, NAME) == dict.fromkeys(before, 0)
