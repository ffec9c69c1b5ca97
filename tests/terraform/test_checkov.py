"""checkov over every Terraform file: it finds nothing, and everything it is told to overlook is explained and real.

checkov pins many libraries of its own, so it stays out of our lock file: it is taken from PATH, or from the
environment variable LEADGER_CHECKOV; where neither has it, this is a skip with that name.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("checkov")]

_SUPPRESSION = re.compile(r"# checkov:skip=(?P<check>CKV2?_AWS_\d+)")


@pytest.fixture(scope="module")
def found(copy: Path) -> dict[str, Any]:
    checkov = os.environ.get("LEADGER_CHECKOV") or shutil.which("checkov")
    if checkov is None:
        pytest.skip("checkov is not installed (PATH or LEADGER_CHECKOV)")
    done = subprocess.run(
        [checkov, "-d", str(copy), "--framework", "terraform", "--skip-download", "-o", "json"],
        env={"PATH": os.environ["PATH"], "HOME": str(copy)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    results: dict[str, Any] = json.loads(done.stdout)["results"]
    return results


def test_nothing_is_found(found: dict[str, Any]) -> None:
    assert [f"{one['check_id']} {one['resource']}" for one in found["failed_checks"]] == []
    # Terraform's own test files are beyond checkov's parser, and hold nothing for it to find.
    assert [path for path in found["parsing_errors"] if not path.endswith(".tftest.hcl")] == []


def test_no_suppression_outlives_what_it_suppresses(found: dict[str, Any], copy: Path) -> None:
    used = {
        (one["check_id"], Path(one["file_path"]).name, _module(one["file_path"])) for one in found["skipped_checks"]
    }
    written = {
        (match["check"], path.name, _module(str(path)))
        for path in copy.rglob("*.tf")
        if ".terraform" not in path.parts
        for match in _SUPPRESSION.finditer(path.read_text())
    }
    assert written - used == set()


def _module(path: str) -> str:
    return Path(path).parent.name
