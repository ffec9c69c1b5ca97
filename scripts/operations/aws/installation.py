"""The installation that Terraform made from environments/aws, and clients that speak to it."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.session import Session

from scripts.errors import CannotStart

_FOLDER = Path(__file__).parents[3] / "terraform/environments/aws"
_PATIENT = Config(connect_timeout=10, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})


@dataclass(frozen=True)
class Installation:
    """Terraform's outputs, by name."""

    outputs: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        """One output; raises CannotStart if there is none of this name."""
        if name not in self.outputs:
            raise CannotStart(
                f"Terraform has no output {name}: has this release been applied in terraform/environments/aws?"
            )
        return self.outputs[name]

    @property
    def cluster(self) -> str:
        """The ECS cluster; with a role after it also the name of that role's log."""
        name: str = self["cluster_name"]
        return name

    def client(self, service: str) -> Any:
        """A client of an AWS service where the tasks run, for whoever the AWS variables and files name."""
        region = self["migrate_run"]["taskDefinition"].split(":")[3]
        return Session().create_client(service, region_name=region, config=_PATIENT)


def find() -> Installation:
    """The installation of this checkout; raises CannotStart if Terraform does not know it."""
    try:
        command = ["terraform", f"-chdir={_FOLDER}", "output", "-json", "-no-color"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotStart("Terraform is needed and was not found; install 1.11 or newer.") from None
    if done.returncode:
        error = re.search("Error: (.+)", done.stderr)
        reason = error[1] if error else done.stderr.strip().partition("\n")[0]
        raise CannotStart(f"Terraform, in terraform/environments/aws, does not know where Leadger is: {reason}.")
    return Installation({name: output["value"] for name, output in json.loads(done.stdout).items()})
