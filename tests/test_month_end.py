"""The workflow and the CronJob that bill last month: valid by their schemas, and their steps work as they stand."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from kubernetes_validate.utils import ValidationError, latest_version, major_minor, validate

from billing.periods import previous_period, text_from_period
from scripts.client import Client
from tests.stack import Stack

_ROOT = Path(__file__).parent.parent
_MANIFEST = _ROOT / "compose/kubernetes/billing-cronjob.yaml"
_WORKFLOW: dict[Any, Any] = yaml.safe_load((_ROOT / ".github/workflows/billing.yml").read_text())


@pytest.fixture
def partner(stack: Stack) -> str:
    """A partner with one action of 10.00 on the 15th of last month."""
    now, name = datetime.now(UTC), f"month-{uuid4().hex[:8]}"
    at = f"{text_from_period(previous_period(now.year * 100 + now.month))}-15T10:00:00Z"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": name})
        client.post("/api/products", {"external_id": name, "partner": name, "name": "Widget"})
        lead = {
            "lead_id": name,
            "customer_id": name,
            "customer": {"name": "Ann", "email": f"{name}@example.com"},
            "product_id": name,
            "lead_type": "Visit",
            "actions": [{"action_type": "Click", "engagement_level": "High", "timestamp": at}],
        }
        client.wait_for(client.post("/leads", lead)["status_url"])
    return name


def _run_steps(stack: Stack, **env: str) -> str:
    """Run every command of the workflow's job; what the last one printed."""
    said = {"EVENT": "", "INPUT_DRY_RUN": "", "PAYLOAD_DRY_RUN": ""} | env
    for step in _WORKFLOW["jobs"]["billing"]["steps"]:
        if "run" in step:
            assert set(step.get("env", {})) <= {*said, "LEADGER_URL", "LEADGER_API_KEY", "SHOP_IDS"}
            words = ["bash", "-eo", "pipefail", "-c", step["run"]]
            done = subprocess.run(
                words, cwd=_ROOT, env=os.environ | stack.env | said, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_steps_of_the_workflow_try_on_a_push_and_bill_on_the_schedule(stack: Stack, partner: str) -> None:
    pushed = _run_steps(stack, EVENT="push", SHOP_IDS=partner)
    assert "10.00 EUR would be billed; nothing was written." in pushed
    undecided = _run_steps(stack, EVENT="workflow_dispatch", INPUT_DRY_RUN="true", SHOP_IDS=partner)
    assert "nothing was written" in undecided
    billed = _run_steps(stack, EVENT="schedule", SHOP_IDS=partner)
    assert "1 processed: 1 successful" in billed
    assert "10.00 EUR billed." in billed
    again = _run_steps(stack, EVENT="repository_dispatch", PAYLOAD_DRY_RUN="false", SHOP_IDS=partner)
    assert "1 processed: 0 successful, 0 failed, 1 skipped" in again


def test_the_workflow_starts_by_hand_by_the_clock_by_a_dispatch_and_on_a_push() -> None:
    starts = _WORKFLOW[True]  # YAML reads `on` so
    assert set(starts["workflow_dispatch"]["inputs"]) == {"dry_run", "shop_ids"}
    assert starts["schedule"] == [{"cron": "0 2 1 * *"}]
    assert (starts["repository_dispatch"], starts["push"]) == ({"types": ["billing"]}, {"branches": ["main"]})


@pytest.mark.parametrize("kubernetes", ["1.27", latest_version()])  # the first with time zones for all, and the last
def test_the_cron_job_is_valid_by_the_schemas_of_kubernetes(kubernetes: str) -> None:
    manifest = yaml.safe_load(_MANIFEST.read_text())
    assert validate(manifest, kubernetes, strict=True) == major_minor(kubernetes)
    with pytest.raises(ValidationError, match="'timezone' was unexpected"):
        validate(manifest | {"spec": manifest["spec"] | {"timezone": "Etc/UTC"}}, kubernetes, strict=True)


def test_the_command_of_the_cron_job_works(stack: Stack, partner: str) -> None:
    (container,) = yaml.safe_load(_MANIFEST.read_text())["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "containers"
    ]
    program, *rest = container["command"]
    command = [_ROOT / ".venv/bin" / program, *rest, "--dry-run", "--shop-ids", partner]
    done = subprocess.run(command, env=os.environ | stack.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 processed: 1 successful" in done.stdout
