"""Terraform on a copy of our folder, with the provider from a mirror on this machine and no account of any cloud."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent.parent / "terraform"
PLUGIN_DIR = "LEADGER_TF_PLUGIN_DIR"

_LEFT_BEHIND = shutil.ignore_patterns(
    ".terraform", ".terraform.lock.hcl", "*.tfstate*", "backend.hcl", "terraform.tfvars"
)


class Failed(Exception):
    """Terraform ended with an error; the message is what it said."""


@dataclass(frozen=True)
class Resource:
    """One resource of a state: `module.leadger.module.api.aws_ecs_service.main[0]` and its values."""

    address: str
    type: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Terraform:
    """Terraform in one folder of the copy."""

    folder: Path
    plugin_dir: Path

    def init(self) -> None:
        self.run("init", "-backend=false", "-input=false", f"-plugin-dir={self.plugin_dir}")

    def run(self, *words: str) -> str:
        """What Terraform printed on standard output."""
        done = subprocess.run(
            ["terraform", words[0], *_no_colour(words[0]), *words[1:]],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
        )
        if done.returncode:
            raise Failed(f"terraform {' '.join(words)}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def made_by_test(self, *words: str) -> list[Resource]:
        """Run the folder's test, which mocks the provider, and return everything that it made or planned."""
        for line in map(json.loads, self.run("test", "-json", "-verbose", *words).splitlines()):
            if line["type"] == "test_state":
                return list(_resources(line["test_state"]["root_module"]))
            if line["type"] == "test_plan":
                changes = line["test_plan"]["resource_changes"]
                managed = [one for one in changes if one["mode"] == "managed"]
                return [Resource(one["address"], one["type"], one["change"]["after"]) for one in managed]
        raise Failed("The test printed neither a state nor a plan.")

    def state(self) -> list[Resource]:
        """Everything that was applied and not destroyed."""
        shown = json.loads(self.run("show", "-json"))
        return list(_resources(shown["values"]["root_module"])) if "values" in shown else []

    def _environment(self) -> dict[str, str]:
        # Nothing of the person who runs the tests: no account, no configuration, no other mirror.
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            # For the parts of the provider that heed it; what really shortens a missing call is its max_retries.
            "AWS_MAX_ATTEMPTS": "2",
        }


def copy_of_terraform(to: Path) -> Path:
    """Our folder without what Terraform leaves behind in it."""
    shutil.copytree(FOLDER, to, ignore=_LEFT_BEHIND)
    return to


def _no_colour(verb: str) -> tuple[str, ...]:
    return () if verb in {"version", "state"} else ("-no-color",)


def _resources(module: dict[str, Any]) -> Iterator[Resource]:
    for resource in module.get("resources", []):
        if resource["mode"] == "managed":
            yield Resource(resource["address"], resource["type"], resource["values"])
    for child in module.get("child_modules", []):
        yield from _resources(child)
