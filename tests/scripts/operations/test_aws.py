"""scripts/on-aws, with Terraform played and the AWS that botocore's models describe: what is asked, what is said."""

import json
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from botocore.stub import ANY, Stubber
from typer.testing import CliRunner, Result

from scripts.operations.aws import services, task
from scripts.operations.aws.__main__ import app

_ROOT = Path(__file__).parents[3]
_REGION = "eu-central-1"
_ARN = f"arn:aws:ecs:{_REGION}:123456789012"
_TASK = f"{_ARN}:task/leadger-production/4711"
_OURS = {"name": "migrate", "exitCode": 0}
_ENDED = {"lastStatus": "STOPPED", "stoppedReason": "Essential container exited", "containers": [_OURS]}


def _request(role: str) -> dict[str, Any]:
    return {
        "cluster": "leadger-production",
        "taskDefinition": f"{_ARN}:task-definition/leadger-production-{role}:3",
        "launchType": "FARGATE",
    }


_OUTPUTS = {
    "cluster_name": "leadger-production",
    "report_files_bucket": "reports",
    "migrate_run": _request("migrate"),
    "command_run": _request("command"),
}


class Aws:
    """AWS as far as it is scripted: each service answers what it was given, in order, to exactly the words expected."""

    def __init__(self) -> None:
        self._clients = {
            name: Session().create_client(
                name, region_name=_REGION, aws_access_key_id="test", aws_secret_access_key="test"
            )
            for name in ("ecs", "logs", "application-autoscaling")
        }
        self.ecs, self.logs, self.scaling = (Stubber(client) for client in self._clients.values())
        for stubber in (self.ecs, self.logs, self.scaling):
            stubber.activate()
        self.calls: list[str] = []
        """The names of all calls so far."""
        for client in self._clients.values():
            client.meta.events.register("before-parameter-build", lambda model, **_: self.calls.append(model.name))

    def create_client(self, name: str, **given: Any) -> Any:
        assert given["region_name"] == _REGION
        return self._clients[name]

    def expect_start(self, role: str, *words: str) -> None:
        """A task of this role with these words."""
        self.ecs.add_response(
            "run_task",
            {"tasks": [{"taskArn": _TASK}], "failures": []},
            {**_request(role), "overrides": {"containerOverrides": [{"name": role, "command": list(words)}]}},
        )

    def expect_end(self, role: str, end: dict[str, Any], *pages: list[str]) -> None:
        """The task goes on for as many times as there are pages of its log, and ends so, whatever runs beside it."""
        sidecar = {"name": "aws-guardduty-agent", "exitCode": 2}
        end = end | {"containers": [sidecar, *({**each, "name": role} for each in end["containers"])]}
        for number, _ in enumerate(pages):
            shown = end if number == len(pages) - 1 else {"lastStatus": "RUNNING", "containers": [{}]}
            self.ecs.add_response(
                "describe_tasks", {"tasks": [shown]}, {"cluster": "leadger-production", "tasks": [_TASK]}
            )
        asked: dict[str, Any] = {
            "logGroupName": f"/leadger-production/{role}",
            "logStreamName": f"{role}/{role}/4711",
            "startFromHead": True,
        }
        for number, lines in enumerate(pages):
            for events in ([{"message": line} for line in lines], []):
                answer = {"events": events, "nextForwardToken": str(number)}
                self.logs.add_response("get_log_events", answer, dict(asked))
                asked["nextToken"] = str(number)

    def assert_all_was_asked(self) -> None:
        for stubber in (self.ecs, self.logs, self.scaling):
            stubber.assert_no_pending_responses()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    aws = Aws()
    monkeypatch.setattr("scripts.operations.aws.installation.Session", lambda: aws)
    monkeypatch.setattr(task, "POLL_INTERVAL_S", 0.0)
    monkeypatch.setattr(task, "LOG_DELAY_S", 0.0)
    monkeypatch.setattr(services, "STOPPED_POLLING", {"Delay": 0, "MaxAttempts": 2})
    return aws


@pytest.fixture
def on_aws(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command line on the played Terraform."""

    def run(*words: str, status: int = 0, outputs: dict[str, Any] | None = None, said: str = "") -> Result:
        shown = {name: {"value": value} for name, value in (_OUTPUTS if outputs is None else outputs).items()}
        played = tmp_path / "terraform"
        script = f"#!/bin/sh\necho \"$*\" >> '{tmp_path}/calls'\n"
        script += f"echo '{said}' >&2; exit 1\n" if said else f"cat <<'END'\n{json.dumps(shown)}\nEND\n"
        played.write_text(script)
        played.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == status, result.output + result.stderr
        folder = _ROOT / "terraform/environments/aws"
        assert (tmp_path / "calls").read_text() == f"-chdir={folder} output -json -no-color\n"
        (tmp_path / "calls").unlink()
        if status == 1:
            assert result.stderr.splitlines()[-1].startswith("leadger: ")
        return result

    return run


@pytest.mark.parametrize(
    ("typed", "role", "words"),
    [
        ("migrate", "migrate", "migrate --application-login"),
        ("migrate --rotate", "migrate", "migrate --application-login --rotate"),
        ("backup", "command", "leadger backup s3://reports/backups"),
        ("restore s3://reports/backups/x", "migrate", "leadger restore s3://reports/backups/x"),
        ("restore --replace s3://x", "migrate", "leadger restore s3://x --replace"),
        ("leadger doctor --json --help", "command", "leadger doctor --json --help"),
    ],
)
def test_a_task_is_started_followed_and_ended_with(
    aws: Aws, on_aws: Callable[..., Result], typed: str, role: str, words: str
) -> None:
    aws.expect_start(role, *words.split())
    aws.expect_end(role, _ENDED, ["one", "two [3/4]"], ["three"])
    done = on_aws(*typed.split())
    assert done.stdout == "one\ntwo [3/4]\nthree\n"
    assert done.stderr == "The task 4711 begins in leadger-production, which takes a minute.\n"
    aws.assert_all_was_asked()


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (
            {"stoppedReason": "Essential container in task exited", "containers": [{"exitCode": 1}]},
            "The task ended with status 1: Essential container in task exited.",
        ),
        (
            {"stoppedReason": "x", "containers": [{"exitCode": 137, "reason": "OutOfMemoryError: killed"}]},
            "The task ended with status 137: OutOfMemoryError: killed.",
        ),
        (
            {"stoppedReason": "CannotPullContainerError: no such tag", "containers": [{}]},
            "The task ended before it began: CannotPullContainerError: no such tag.",
        ),
    ],
)
def test_a_task_that_does_not_end_well_is_a_failure(
    aws: Aws, on_aws: Callable[..., Result], end: dict[str, Any], said: str
) -> None:
    aws.expect_start("migrate", "migrate", "--application-login")
    aws.expect_end("migrate", {"lastStatus": "STOPPED", **end}, ["it broke"])
    done = on_aws("migrate", status=1)
    assert done.stdout == "it broke\n"
    assert done.stderr.splitlines()[-1] == f"leadger: {said}"


def test_a_task_that_wrote_nothing_is_judged_all_the_same(aws: Aws, on_aws: Callable[..., Result]) -> None:
    aws.expect_start("migrate", "migrate", "--application-login")
    aws.ecs.add_response("describe_tasks", {"tasks": [_ENDED]})
    aws.logs.add_client_error("get_log_events", "ResourceNotFoundException")
    assert on_aws("migrate").stdout == ""


def test_a_task_that_aws_does_not_know_yet_is_waited_for(aws: Aws, on_aws: Callable[..., Result]) -> None:
    aws.expect_start("migrate", "migrate", "--application-login")
    aws.ecs.add_response("describe_tasks", {"tasks": [], "failures": [{"reason": "MISSING"}]})
    aws.logs.add_client_error("get_log_events", "ResourceNotFoundException")
    aws.expect_end("migrate", _ENDED, ["one"])
    assert on_aws("migrate").stdout == "one\n"


def test_a_task_that_aws_never_knows_is_not_waited_for(
    aws: Aws, on_aws: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "VISIBLE_WITHIN_S", 0.0)
    aws.expect_start("migrate", "migrate", "--application-login")
    aws.ecs.add_response("describe_tasks", {"tasks": [], "failures": [{"reason": "MISSING"}]})
    assert on_aws("migrate", status=1).stderr.endswith("AWS does not know the task 4711, which it said it started.\n")


def test_whoever_is_cut_off_learns_that_the_task_goes_on(
    aws: Aws, on_aws: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = "the task 4711 goes on, and its log is /leadger-production/migrate"
    aws.expect_start("migrate", "migrate", "--application-login")
    aws.ecs.add_client_error("describe_tasks", "ExpiredTokenException", "expired")
    assert f"leadger: AWS cannot be asked; {goes_on}: An error occurred" in on_aws("migrate", status=1).stderr

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    aws.expect_start("migrate", "migrate", "--application-login")
    monkeypatch.setattr(task.Task, "follow", interrupted)
    stopped = on_aws("migrate", status=130)
    assert stopped.stderr.splitlines()[-1] == f"Without you {goes_on}."


def test_of_the_first_key_nothing_but_its_checksum_is_sent(aws: Aws, on_aws: Callable[..., Result]) -> None:
    aws.ecs.add_response(
        "run_task",
        {"tasks": [{"taskArn": _TASK}], "failures": []},
        {**_request("command"), "overrides": {"containerOverrides": [{"name": "command", "command": ANY}]}},
    )
    sent: list[str] = []
    aws.create_client("ecs", region_name=_REGION).meta.events.register(
        "before-parameter-build.ecs.RunTask", lambda params, **_: sent.append(json.dumps(params))
    )
    # Shown also if it does not end well: the checksum may be stored all the same.
    aws.expect_end("command", {**_ENDED, "containers": [{"exitCode": 1}]}, ["The key me may be used."])
    done = on_aws("first-key", "me", status=1)
    key = done.stdout.strip()
    assert key.startswith("leadger_")
    (asked,) = sent
    assert key not in asked
    (overrides,) = json.loads(asked)["overrides"]["containerOverrides"]
    digest = sha256(key.encode()).hexdigest()
    assert overrides["command"] == ["leadger", "keys", "create", "me", "--first", "--sha256", digest]
    assert "The key me may be used." in done.stderr


def _expect_suspended(aws: Aws, suspended: bool) -> None:
    for service in ("api", "worker"):
        shown = dict.fromkeys(
            ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), suspended
        )
        aws.scaling.add_response("register_scalable_target", {}, _target(service) | {"SuspendedState": shown})


def _expect_targets(aws: Aws) -> None:
    more = {"MaxCapacity": 9, "RoleARN": "arn:aws:iam::123456789012:role/x", "CreationTime": 0}
    targets = [_target("worker") | {"MinCapacity": 3} | more, _target("api") | {"MinCapacity": 2} | more]
    asked = {
        "ServiceNamespace": "ecs",
        "ResourceIds": [_target(service)["ResourceId"] for service in ("api", "worker")],
    }
    aws.scaling.add_response("describe_scalable_targets", {"ScalableTargets": targets}, asked)


def _target(service: str) -> dict[str, Any]:
    return {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/leadger-production/{service}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }


def _expect_counts(aws: Aws, **counts: int) -> None:
    """Asked for, not there at once, and then there, as far as the service knows."""
    for service, count in counts.items():
        asked = {"cluster": "leadger-production", "service": service, "desiredCount": count}
        aws.ecs.add_response("update_service", {}, asked)
    for missing in (1, 0):
        services = [
            {"status": "ACTIVE", "deployments": [{}], "runningCount": count + missing, "desiredCount": count}
            for count in counts.values()
        ]
        asked_for = {"cluster": "leadger-production", "services": list(counts)}
        aws.ecs.add_response("describe_services", {"services": services}, asked_for)


def _expect_tasks_to_end(aws: Aws) -> None:
    """The api still has one that does its last work."""
    where = {"cluster": "leadger-production"}
    ending = {"taskArn": _TASK, "lastStatus": "DEACTIVATING"}
    for service, arns in (("api", [_TASK]), ("worker", []), ("background", []), ("beat", [])):
        asked = where | {"serviceName": service, "desiredStatus": "STOPPED"}
        aws.ecs.add_response("list_tasks", {"taskArns": arns}, asked)
        for status in ("DEACTIVATING", "STOPPED") if arns else ():
            aws.ecs.add_response(
                "describe_tasks", {"tasks": [ending | {"lastStatus": status}]}, where | {"tasks": arns}
            )


def test_what_writes_is_stopped_after_what_would_start_it_again(aws: Aws, on_aws: Callable[..., Result]) -> None:
    _expect_targets(aws)
    _expect_suspended(aws, True)
    _expect_counts(aws, api=0, worker=0, background=0, beat=0)
    _expect_tasks_to_end(aws)
    assert on_aws("stop").stderr == "api, workers and beat are gone; `scripts/on-aws start` brings them back.\n"
    aws.assert_all_was_asked()
    assert aws.calls.index("UpdateService") > aws.calls.index("RegisterScalableTarget") + 1


def test_it_comes_back_with_its_least_number_and_autoscaling(aws: Aws, on_aws: Callable[..., Result]) -> None:
    _expect_targets(aws)
    _expect_counts(aws, api=2, worker=3, background=1, beat=1)
    _expect_suspended(aws, False)
    assert on_aws("start").stderr == "api, workers and beat run.\n"
    aws.assert_all_was_asked()
    assert aws.calls.index("DescribeServices") > aws.calls.index("RegisterScalableTarget") + 1


def test_a_migration_needs_nothing_that_only_a_later_apply_makes(aws: Aws, on_aws: Callable[..., Result]) -> None:
    outputs = {name: _OUTPUTS[name] for name in ("cluster_name", "migrate_run")}
    aws.expect_start("migrate", "migrate", "--application-login")
    aws.expect_end("migrate", _ENDED, ["one"])
    assert on_aws("migrate", outputs=outputs).stdout == "one\n"
    assert (
        "Terraform has no output command_run: has this release been"
        in on_aws("first-key", status=1, outputs=outputs).stderr
    )


@pytest.mark.parametrize("words", ["keys create x --first", "keys rotate 1"])
def test_no_key_gets_into_a_log(words: str) -> None:
    said = CliRunner().invoke(app, ["leadger", *words.split()])
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("leadger: Keys would be printed into a log:")


@pytest.mark.parametrize(
    ("outputs", "terraform_said", "said"),
    [
        ({}, "", "Terraform has no output migrate_run: has this release been applied in terraform/environments/aws?"),
        (
            None,
            "There are problems.\n| Error: Backend initialization required\n|\n| Reason: the backend is an interface",
            "aws, does not know where Leadger is: Backend initialization required.\n",
        ),
        (None, "killed", "does not know where Leadger is: killed.\n"),
    ],
)
def test_an_installation_that_is_not_there_is_told(
    on_aws: Callable[..., Result], outputs: dict[str, Any] | None, terraform_said: str, said: str
) -> None:
    assert said in on_aws("migrate", status=1, outputs=outputs, said=terraform_said).stderr


def test_without_terraform_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(app, ["backup"])
    assert (result.exit_code, result.stderr) == (
        1,
        "leadger: Terraform is needed and was not found; install 1.11 or newer.\n",
    )


def test_what_aws_refuses_is_one_message(aws: Aws, on_aws: Callable[..., Result]) -> None:
    aws.ecs.add_client_error("run_task", "AccessDeniedException", "not allowed")
    assert "AWS did not start the task: An error occurred (AccessDeniedException)" in on_aws("backup", status=1).stderr


def test_a_task_for_which_there_is_no_room_is_one_message(aws: Aws, on_aws: Callable[..., Result]) -> None:
    aws.ecs.add_response("run_task", {"tasks": [], "failures": [{"reason": "RESOURCE:FARGATE"}]})
    assert on_aws("backup", status=1).stderr == "leadger: AWS did not start the task: RESOURCE:FARGATE.\n"


def test_a_log_that_may_not_be_read_is_one_message(aws: Aws, on_aws: Callable[..., Result]) -> None:
    aws.expect_start("migrate", "migrate", "--application-login")
    aws.ecs.add_response("describe_tasks", {"tasks": [_ENDED]})
    aws.logs.add_client_error("get_log_events", "AccessDeniedException", "not allowed")
    assert (
        "and its log is /leadger-production/migrate: An error occurred (AccessDenied"
        in on_aws("migrate", status=1).stderr
    )


def test_services_that_do_not_scale_are_not_stopped(aws: Aws, on_aws: Callable[..., Result]) -> None:
    aws.scaling.add_response("describe_scalable_targets", {"ScalableTargets": []})
    assert "leadger-production has no autoscaling of api and worker" in on_aws("stop", status=1).stderr


def test_the_script_has_help() -> None:
    done = subprocess.run([_ROOT / "scripts/on-aws", "--help"], capture_output=True, text=True, check=True)
    for command in ("migrate", "first-key", "backup", "restore", "stop", "start", "leadger"):
        assert f" {command} " in done.stdout
