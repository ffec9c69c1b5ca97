"""scripts/deploy-local, with programs that play Docker and Terraform: its steps, and what it says on failure."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
# Each writes down how it was called, fails where FAIL stands in the call or its end (;), and answers what is asked.
_PLAYED = """#!/usr/bin/env bash
call="$(basename "$0") $*"
echo "$call" >>"$CALLS"
if [[ -n ${FAIL:-} && "$call;" == *"$FAIL"* ]]; then echo "it broke: $FAIL" >&2; exit 1; fi
case "$call" in
    *"image inspect --format"*) echo sha256:0123456789abcdef ;;
    *"output -raw url") echo http://gateway.test ;;
    *"output -raw registry_url") echo registry.test/leadger ;;
    *"output -raw"*) echo "the ${!#}" ;;
    *"output -json migrate_run") echo '{"cluster": "leadger"}' ;;
    *run-task*) echo arn:task ;;
    *describe-tasks*) echo "${MIGRATION:-0}" ;;
    *get-secret-value*) echo postgresql://application@database.test/leadger ;;
    *"keys create"*) echo "leadger_the-key with $DATABASE_URL" ;;
    *samples*) echo "reports of $LEADGER_URL for $LEADGER_API_KEY" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("scripts", "bin", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(_ROOT / "scripts/deploy-local", tmp_path / "scripts/deploy-local")
    setup = (_ROOT / "scripts/setup").read_text().removesuffix("set_up\n")
    (tmp_path / "scripts/setup").write_text(setup)
    for name in ("bin/docker", "bin/terraform", "bin/curl", ".venv/bin/leadger"):
        (tmp_path / name).write_text(_PLAYED)
        (tmp_path / name).chmod(0o755)
    for tool in ("bash", "dirname", "basename", "mkdir", "tail", "sed", "cat"):
        program = shutil.which(tool)
        assert program is not None
        (tmp_path / "bin" / tool).symlink_to(program)
    return tmp_path


SERVICES = ("api", "worker", "background", "beat", "flower")


def _deploy(checkout: Path, **env: str) -> subprocess.CompletedProcess[str]:
    fixed = {"PATH": str(checkout / "bin"), "CALLS": str(checkout / "calls"), "LOCALSTACK_AUTH_TOKEN": "token"}
    command = [checkout / "scripts/deploy-local"]
    return subprocess.run(command, env=fixed | env, capture_output=True, text=True, check=False)


def _calls(checkout: Path) -> list[str]:
    return (checkout / "calls").read_text().splitlines()


def test_every_step_is_told_and_the_reports_come_last(checkout: Path) -> None:
    done = _deploy(checkout)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("]")[0] for line in lines[:12]] == [f"[{number}/12" for number in range(1, 13)]
    assert all(" … done (" in line for line in lines[:12])
    assert lines[12] == (
        "reports of http://gateway.test for leadger_the-key with postgresql://application@database.test/leadger"
    )
    assert lines[13].startswith("Leadger is at http://gateway.test;")
    assert len(lines) == 14


def test_the_image_is_in_the_registry_before_the_services_are_made(checkout: Path) -> None:
    assert _deploy(checkout).returncode == 0
    calls = _calls(checkout)
    apply = "terraform -chdir=terraform/environments/localstack apply -input=false -auto-approve"
    update = (
        "docker compose -f compose/compose.localstack.yaml exec -T localstack awslocal ecs update-service"
        " --cluster the cluster_name"
    )
    in_order = [
        "docker compose -f compose/compose.localstack.yaml up --detach --wait",
        "docker compose -f compose/compose.yaml build api",
        f"{apply} -var image_tag=local-0123456789ab -target=module.leadger.module.registry",
        "docker push registry.test/leadger:local-0123456789ab",
        f"{apply} -var image_tag=local-0123456789ab",
        *(
            f"{update} --service {service} --force-new-deployment"
            for service in ("api", "worker", "background", "beat", "flower")
        ),
        "curl --fail --silent --show-error --retry 60 --retry-delay 2 --retry-all-errors http://gateway.test/health",
        "leadger keys create deploy-local --first",
    ]
    assert [calls.index(call) for call in in_order] == sorted(calls.index(call) for call in in_order)


def test_its_page_begins_with_it_and_ends_by_hand_at_billed_leads() -> None:
    page = (_ROOT / "docs/localstack.md").read_text()
    one_command, *by_hand = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert re.search(r"^make deploy-local ", one_command, re.MULTILINE)
    assert "docker compose -f compose/compose.localstack.yaml down --volumes" in by_hand[0]
    assert by_hand[-1].index("leadger keys create me --first") < by_hand[-1].index(".venv/bin/leadger samples")


def test_the_key_is_kept_for_its_owner_and_used_again(checkout: Path) -> None:
    _deploy(checkout)
    key = checkout / ".leadger/localstack.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert _deploy(checkout).returncode == 0
    assert sum("keys create" in call for call in _calls(checkout)) == 1
    assert "leadger_the-key" not in (checkout / ".leadger/deploy-local.log").read_text()


@pytest.mark.parametrize(
    ("fail", "title", "advice"),
    [
        ("up --detach --wait", "LocalStack starts", "See whether Docker runs"),
        ("build api", "the image is built", "BASE_IMAGE names another one."),
        ("image inspect --format", "the image is built", "BASE_IMAGE names another one."),
        ("init", "Terraform's provider is fetched", "name a mirror in ~/.terraformrc."),
        ("-target", "the registry is made", "See whether your LocalStack plan has ECR."),
        ("output -raw registry_url", "the image is pushed", "See whether localhost.localstack.cloud leads to"),
        ("docker push", "the image is pushed", "See whether localhost.localstack.cloud leads to 127.0.0.1 here."),
        ("image_tag=local-0123456789ab;", "everything else is made", "docs/localstack.md tells what some of them"),
        ("output -raw url", "Terraform tells where it is", "If an output is missing, not everything is made"),
        ("output -raw cluster_name", "Terraform tells where it is", "If an output is missing"),
        ("output -raw application_login_secret_arn", "Terraform tells where it is", "If an output is missing"),
        ("output -json migrate_run", "Terraform tells where it is", "If an output is missing"),
        ("run-task", "the database is migrated", "See the task's log"),
        ("ecs wait", "the database is migrated", "See the task's log"),
        ("describe-tasks", "the database is migrated", "See the task's log"),
        ("--service worker", "the services start anew", "The line above names the service."),
        ("curl", "the API answers at http://gateway.test", "See the tasks' logs"),
        ("get-secret-value", "there is an API key", "If one was made already, put it into"),
        ("keys create", "there is an API key", "if it is lost, begin afresh with `make terraform-destroy`."),
        ("leadger samples", "the sample leads are billed", "If the key is refused, remove"),
    ],
)
def test_a_failure_says_what_broke_and_how_to_go_on(checkout: Path, fail: str, title: str, advice: str) -> None:
    done = _deploy(checkout, FAIL=fail)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith(f"{title} … failed")
    assert "    it broke: " in done.stderr
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith(f"leadger: {title} failed. ")
    assert advice in sentence
    assert "Then run scripts/deploy-local again; what is done stays done" in sentence
    assert _deploy(checkout).returncode == 0


def test_a_migration_that_fails_in_its_task_is_a_failure(checkout: Path) -> None:
    done = _deploy(checkout, MIGRATION="1")
    assert done.returncode == 1
    assert "    the migration ended with status 1" in done.stderr


def test_what_is_missing_is_said_before_anything_is_done(checkout: Path) -> None:
    done = _deploy(checkout, LOCALSTACK_AUTH_TOKEN="")
    assert done.stderr == (
        "leadger: LOCALSTACK_AUTH_TOKEN is not set. Get a token as docs/localstack.md tells and export it, "
        "then run scripts/deploy-local again.\n"
    )
    (checkout / "bin/terraform").unlink()
    done = _deploy(checkout)
    assert done.stderr == (
        "leadger: terraform is needed and was not found. "
        "Install Terraform 1.11 or newer, then run scripts/deploy-local again.\n"
    )
    assert not (checkout / "calls").exists()
