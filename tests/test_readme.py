"""The README and the page about bills are true: their commands run as typed and print what they show."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from db.core.settings import Settings
from scripts.local.embedded.ports import free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BILLS = (ROOT / "docs/bills.md").read_text()


@dataclass
class Running:
    """`scripts/run` that has printed its reports and stays up."""

    home: Path
    output: str

    @property
    def environment(self) -> dict[str, str]:
        lines = (self.home / "dev.env").read_text().split()
        return {**os.environ, **dict(line.split("=", 1) for line in lines)}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("readme") / "home"
    log = home.parent / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [ROOT / "scripts/run", "--home", home, "--port", str(free_port())],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_without_servers(),
        )
    try:
        deadline = time.monotonic() + 300  # a machine may have other work
        while "Flower" not in log.read_text() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        assert process.poll() is None, log.read_text()
        yield Running(home, log.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()


def test_the_output_is_what_the_readme_shows(running: Running) -> None:
    shown = re.search(r"<!-- output of scripts/run --once -->\n```text\n(.*?)```", README, re.DOTALL)
    assert shown
    printed = "\n".join(line.rstrip() for line in running.output.splitlines())
    assert shown[1] in printed


def test_the_examples_of_the_interactive_documentation_are_in_nobodys_way(running: Running) -> None:
    """Failed before: the lead of /docs had the id of the README's, which then was a conflict."""
    url, key = running.environment["LEADGER_URL"], running.environment["LEADGER_API_KEY"]
    example = httpx.get(f"{url}/openapi.json").json()["components"]["schemas"]["LeadIn"]["example"]
    httpx.post(f"{url}/leads", json=example, headers={"Authorization": f"Bearer {key}"}).raise_for_status()
    for document in (ROOT / "README.md", *(ROOT / "samples").iterdir(), ROOT / "docs" / "cookbook.md"):
        assert f'"{example["lead_id"]}"' not in document.read_text()


@pytest.mark.parametrize("turn", ["first", "second"])
def test_the_api_lines_work_as_typed(running: Running, turn: str) -> None:
    block = re.search(r"```bash\n(.*?)```", README, re.DOTALL)
    assert block
    script = "set -euo pipefail\n" + block[1].replace(".leadger/dev.env", str(running.home / "dev.env"))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=_without_servers(), timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"state":"quarantined"' not in done.stdout
    assert '"lead_id":"lead-1"' in done.stdout
    assert '"outcome":"billed"' in done.stdout
    assert '"dry_run":true' in done.stdout
    assert "# Billing report: Initech, April 2024" in done.stdout


def test_the_samples_leave_a_bill_waiting_if_that_is_asked(running: Running) -> None:
    said = _typed(
        running, "leadger samples --month\nleadger samples --month\nleadger bills history acme 2024-04 --json\n"
    )
    history = json.loads(said[said.index("\n[") :])
    assert [(each["move"], each["to"]) for each in history] == [("create", "draft"), ("submit", "pending")]


@pytest.mark.parametrize("turn", ["first", pytest.param("second", marks=pytest.mark.slow)])
def test_a_month_becomes_a_bill_as_typed(running: Running, turn: str) -> None:
    block = re.search(r"## A month becomes a bill\n.*?```bash\n(.*?)```", README, re.DOTALL)
    assert block
    file = running.home / "ACME-0001.pdf"
    script = "set -euo pipefail\n" + block[1].replace(".leadger/ACME-0001.pdf", str(file))
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=running.environment | {"LEADGER_HOME": str(running.home)},
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The bill of acme for 2024-04, ACME-0001, is issued: 100.00 EUR." in done.stdout, turn
    assert file.read_bytes().startswith(b"%PDF-")


def test_every_command_about_bills_works_as_typed(running: Running) -> None:
    file = running.home / "GLOBEX-0001.pdf"
    blocks = re.findall(r"```bash\n(.*?)```", BILLS, re.DOTALL)
    assert len(blocks) == BILLS.count("```") // 2, "whatever is shown is typed"
    done = _typed(running, "".join(blocks).replace(".leadger/GLOBEX-0001.pdf", str(file)))
    for said in (
        "The bill of globex for 2024-04 waits for Customer Success or Sales: 19.00 EUR.",
        "The bill of globex for 2024-04 is rejected: 19.00 EUR.",
        "The bill of globex for 2024-04, GLOBEX-0001, is issued: 19.00 EUR.",
        "GLOBEX-0001 is on its way to billing@globex.example.",
        "of globex over 2.00 EUR is draft.",
        "4.00 EUR",
    ):
        assert said in done, said
    assert file.read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("turn", ["first", "second"])
def test_a_run_bills_all_partners_as_typed(running: Running, turn: str) -> None:
    block = re.search(r"\nAll partners at once.*?```bash\n(.*?)```", README, re.DOTALL)
    assert block
    said = _typed(running, block[1])
    assert "nothing was written." in said, turn
    assert "0 failed" in said
    assert "new customers" in said


def test_there_is_a_person_of_each_role_who_can_sign_in(running: Running) -> None:
    env = running.environment
    roles = ("ADMIN", "FINANCE", "CUSTOMER_SUCCESS", "SALES", "PARTNER")
    for role in roles:
        login = {"email": env[f"LEADGER_{role}_EMAIL"], "password": env[f"LEADGER_{role}_PASSWORD"]}
        session = httpx.post(f"{env['LEADGER_URL']}/api/session", json=login)
        assert session.json()["user"]["role"] == role.lower()
    assert running.output.count(env["LEADGER_ADMIN_PASSWORD"]) == 1
    assert (running.home / "dev.env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("turn", ["first", "second"])
def test_the_python_client_works(running: Running, turn: str) -> None:
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block
    assert len(block[1].splitlines()) == 10
    done = subprocess.run(
        [sys.executable, "-c", block[1]], capture_output=True, text=True, env=running.environment, timeout=60
    )
    assert done.stdout.startswith("10.00 EUR – Billed in full: 10.00 EUR by the rate for High"), (turn, done.stderr)


def test_every_setting_is_in_the_configuration_table() -> None:
    named = set(re.findall(r"^\| `LEADGER_([A-Z_]+)` \|", README, re.MULTILINE))
    fields = {name.upper() for name in Settings.model_fields} - {"DATABASE_URL", "REDIS_URL", "LOG_LEVEL"}
    of_the_user = {
        "API_BASE_URL",
        "SMTP_URL",
        "SLACK_WEBHOOK_URL",
        "BILLING_NOTIFICATION_WEBHOOK_URL",
        "BILLING_SCHEDULER_ENABLED",
        "GITHUB_WEBHOOK_SECRET",
        "GITHUB_API_TOKEN",
    }
    assert named == fields - of_the_user
    for name in of_the_user:
        assert f"| `{name}` |" in README


def _typed(running: Running, lines: str) -> str:
    """What commands print that all go well, with the variables of `dev.env`."""
    path = f"{ROOT}/.venv/bin:{os.environ['PATH']}"
    env = running.environment | {"LEADGER_HOME": str(running.home), "PATH": path}
    script = "set -euo pipefail\n" + lines
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=ROOT, env=env, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _without_servers() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
