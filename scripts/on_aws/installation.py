"""The installation that Terraform made from environments/aws, and clients that speak to it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from scripts.errors import CannotStart

_FOLDER = Path(__file__).parent.parent.parent / "terraform/environments/aws"
_PATIENT = Config(connect_timeout=10, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})


@dataclass(frozen=True)
class Installation:
    """Where it is, and the requests that start its one-off tasks, by role."""

    region: str
    cluster: str
    bucket: str
    requests: dict[str, dict[str, Any]]

    def client(self, service: str) -> Any:
        """A client of an AWS service, for whoever the AWS variables and files name."""
        return Session().create_client(service, region_name=self.region, config=_PATIENT)


def find() -> Installation:
    """What Terraform's outputs tell; raises CannotStart if they do not."""
    try:
        command = ["terraform", f"-chdir={_FOLDER}", "output", "-json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotStart("Terraform is needed and was not found; install 1.11 or newer.") from None
    if done.returncode:
        raise CannotStart(f"Terraform does not tell where Leadger is: {' '.join(done.stderr.split())}")
    outputs = {name: output["value"] for name, output in json.loads(done.stdout).items()}
    try:
        requests = {role: outputs[f"{role}_run"] for role in ("migrate", "command")}
        return Installation(
            region=requests["migrate"]["taskDefinition"].split(":")[3],
            cluster=outputs["cluster_name"],
            bucket=outputs["report_files_bucket"],
            requests=requests,
        )
    except KeyError as missing:
        raise CannotStart(
            f"terraform/environments/aws has no output {missing}: initialise Terraform there and apply everything."
        ) from None


@contextmanager
def in_a_sentence(what: str) -> Iterator[None]:
    """Turn what AWS refuses into one sentence, CannotStart: "… : why"."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise CannotStart(f"{what}: {' '.join(str(error).split()).rstrip('.')}.") from None
