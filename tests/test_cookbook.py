"""The cookbook is true: all its lines run as typed, in their order, and do what the text says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.stack import Stack

COOKBOOK = (Path(__file__).parent.parent / "docs/cookbook.md").read_text()


def _blocks(language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", COOKBOOK, re.DOTALL))


def _environment(stack: Stack) -> dict[str, str]:
    return {**os.environ, **stack.env}


def test_the_python_lines_work_as_typed(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _blocks("python")],
        capture_output=True,
        text=True,
        env=_environment(stack),
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("{'billed': 1, ")
    assert lines[1].startswith("#/1")
    assert "10.00 10.00 billed – Billed in full: 10.00 EUR by the rate for High" in done.stdout
    assert lines[-5:] == ["held", "billed", "[('2024-04', False)]", "verdicts corrected: 0", "[]"]


def test_the_shell_lines_work_as_typed(stack: Stack, tmp_path: Path) -> None:
    variables = tmp_path / "dev.env"
    variables.write_text(f"LEADGER_URL={stack.url}\nLEADGER_API_KEY={stack.key}\n")
    script = "set -euo pipefail\n" + _blocks("bash").replace(".leadger/dev.env", str(variables))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=_environment(stack), timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"state":"failed"' not in done.stdout
    for said in (
        '"leads":{"new":1,"extended":0,"replayed":0,"quarantined":0',
        '"rejected":[{"pointer":"#/1/',
        '"dry_run":true',
        "# Billing report: Umbrella, April 2024",
        '"reason":"unknown_product"',
        '"verdicts_corrected":0',
        "leadger_inbox_waiting_leads",
    ):
        assert said in done.stdout, said
    with httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.key}"}) as api:
        assert api.get("/leads/cook-2").json()["totals"]["gross"] == "2.00"
        assert api.get("/leads/cook-7").json()["state"] == "done"
        assert [p["closed"] for p in api.get("/api/partners/umbrella/periods").json()["items"]] == [True, False]
        [may] = api.get("/billing/reports?partner=umbrella&period=2024-05").json()["items"]
        assert may["credited"] == "5.00", "the returned registration of the closed April"
        assert api.get("/api/workers").json()["state"] == "running"
        assert "bob@umbrella.example" not in api.get("/api/customers").text


def test_everything_is_said_for_each_of_the_three() -> None:
    parts = re.split(r"^## ", COOKBOOK, flags=re.MULTILINE)[1:]
    assert [part.partition("\n")[0] for part in parts] == ["Integrators", "Finance", "Operators"]
    for part in parts:
        for recipe in re.split(r"^### ", part, flags=re.MULTILINE)[1:]:
            assert "```bash" in recipe, recipe.partition("\n")[0]
