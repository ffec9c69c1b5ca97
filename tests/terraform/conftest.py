"""Terraform where it is; a skip that names what is missing where it is not."""

import os
import shutil
from pathlib import Path

import pytest

from tests.terraform.cli import PLUGIN_DIR, Terraform, copy_of_terraform


@pytest.fixture(scope="session")
def plugin_dir() -> Path:
    """The mirror with the AWS provider."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    folder = os.environ.get(PLUGIN_DIR, "")
    if not folder or not any(Path(folder).rglob("terraform-provider-aws_*")):
        pytest.skip(f"{PLUGIN_DIR} names no folder with terraform-provider-aws")
    return Path(folder)


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the Terraform folder for this test process."""
    return copy_of_terraform(tmp_path_factory.mktemp("terraform") / "terraform")


@pytest.fixture(scope="session")
def modules(copy: Path, plugin_dir: Path) -> Terraform:
    """The module that holds all others."""
    return _ready(copy / "modules" / "leadger", plugin_dir)


@pytest.fixture(scope="session")
def aws(copy: Path, plugin_dir: Path) -> Terraform:
    return _ready(copy / "environments" / "aws", plugin_dir)


@pytest.fixture(scope="session")
def localstack(copy: Path, plugin_dir: Path) -> Terraform:
    return _ready(copy / "environments" / "localstack", plugin_dir)


def _ready(folder: Path, plugin_dir: Path) -> Terraform:
    terraform = Terraform(folder, plugin_dir)
    terraform.init()
    return terraform
