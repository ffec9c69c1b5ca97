"""The form of the Terraform files, and their own tests."""

import re

import pytest

from tests.terraform.cli import FOLDER, Terraform

pytestmark = pytest.mark.xdist_group("terraform")

NAMED_BY_THE_USER = set("network database cache registry cluster service gateway storage observability".split())


def test_the_modules_and_environments_are_there() -> None:
    assert {path.name for path in (FOLDER / "modules").iterdir()} == NAMED_BY_THE_USER | {"credential", "leadger"}
    assert {path.name for path in (FOLDER / "environments").iterdir()} == {"localstack", "aws"}


def test_only_local_modules_and_one_provider() -> None:
    texts = {path: path.read_text() for path in FOLDER.rglob("*.tf") if ".terraform" not in path.parts}
    sources = {source for text in texts.values() for source in re.findall(r'^\s+source\s+= "(.+)"', text, re.MULTILINE)}
    assert {source for source in sources if not source.startswith("../")} == {"hashicorp/aws"}
    versions = {version for text in texts.values() for version in re.findall(r' version\s+= "(.+)"', text)}
    assert versions == {"~> 5.100"}


def test_every_variable_and_output_is_described() -> None:
    blocks = [
        block
        for path in FOLDER.rglob("*.tf")
        if ".terraform" not in path.parts
        for block in re.findall(r'^(?:variable|output) "\w+" \{\n.*?^\}', path.read_text(), re.DOTALL | re.MULTILINE)
    ]
    assert len(blocks) > 100
    assert [block for block in blocks if not re.search(r'^  description\s+= ".+"$', block, re.MULTILINE)] == []


def test_formatted(modules: Terraform) -> None:
    assert modules.run("fmt", "-check", "-recursive", "-list=true", "../..") == ""


def test_valid(aws: Terraform, localstack: Terraform) -> None:
    for environment in (aws, localstack):
        assert "The configuration is valid" in environment.run("validate")


@pytest.mark.slow
def test_the_modules_pass_their_own_tests(modules: Terraform) -> None:
    """Ports, subnets, roles, counts and protections, with a mocked provider."""
    assert " 0 failed" in modules.run("test")


def test_every_suppression_of_checkov_is_explained() -> None:
    lines = [line for path in FOLDER.rglob("*.tf") for line in path.read_text().splitlines() if "checkov:skip" in line]
    assert len(lines) > 30
    assert [line for line in lines if not re.search(r"# checkov:skip=CKV2?_AWS_\d+: \S.{20,}\.$", line)] == []
