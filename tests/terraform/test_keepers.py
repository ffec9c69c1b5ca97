"""On AWS, a plan that would lose the database or the report files is refused as a whole; rotating a secret is not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terraform.cli import Failed, Terraform, copy_of_terraform
from tests.terraform.emulator import REGION, Emulator, running_emulator

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("keepers")]

SIZE = ("-input=false", "-var-file=smallest.tfvars", "-var=image_tag=1", f"-var=region={REGION}")

# The AWS environment keeps its state in S3 and its provider speaks to AWS; here both stay on this machine.
_STAY_HERE = """
terraform {
  backend "local" {}
}

provider "aws" {
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
  max_retries                 = 2

  endpoints {
%s
  }
}
"""
_SERVICES = "ec2 elasticache iam logs rds s3 secretsmanager sts".split()


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, plugin_dir: Path, emulator: Emulator) -> Terraform:
    """The AWS environment's database, cache and report files with their keepers."""
    folder = copy_of_terraform(tmp_path_factory.mktemp("kept") / "terraform") / "environments" / "aws"
    endpoints = "\n".join(f'    {service} = "{emulator.url}"' for service in _SERVICES)
    (folder / "stay_here_override.tf").write_text(_STAY_HERE % endpoints)
    terraform = Terraform(folder, plugin_dir)
    terraform.run("init", "-input=false", f"-plugin-dir={plugin_dir}")
    parts = ("-target=terraform_data.keeper", "-target=module.leadger.module.cache")
    terraform.run("apply", "-auto-approve", *SIZE, *parts)
    return terraform


def test_destroy_is_refused(kept: Terraform) -> None:
    with pytest.raises(Failed, match="Instance cannot be destroyed"):
        kept.run("plan", "-destroy", *SIZE)


def test_a_new_database_is_refused(kept: Terraform) -> None:
    other_key = f"-var=kms_key_arn=arn:aws:kms:{REGION}:123456789012:key/00000000-0000-0000-0000-000000000000"
    with pytest.raises(Failed) as refused:
        kept.run("plan", *SIZE, other_key, "-target=terraform_data.keeper")
    assert 'terraform_data.keeper["database"] has lifecycle.prevent_destroy' in " ".join(str(refused.value).split())


def test_a_new_bucket_is_refused(kept: Terraform) -> None:
    with pytest.raises(Failed) as refused:
        kept.run("plan", *SIZE, "-var=environment=renamed", "-target=terraform_data.keeper")
    assert 'terraform_data.keeper["report_files"] has lifecycle.prevent_destroy' in " ".join(str(refused.value).split())


def test_growing_is_not(kept: Terraform) -> None:
    bigger = '-var=database={instance_class="db.m7g.large", multi_az=true}'
    kept.run("plan", *SIZE, bigger, "-target=terraform_data.keeper", "-out=bigger.tfplan")
    changes = json.loads(kept.run("show", "-json", "bigger.tfplan"))["resource_changes"]
    (database,) = [one for one in changes if one["address"].endswith("module.database.aws_db_instance.main")]
    assert database["change"]["actions"] == ["update"]


def test_rotating_the_token_replaces_neither_cache_nor_database(kept: Terraform) -> None:
    kept.run(
        "plan", *SIZE, "-var=cache={auth_token_version=2}", "-target=module.leadger.module.cache", "-out=rotate.tfplan"
    )
    changes = json.loads(kept.run("show", "-json", "rotate.tfplan"))["resource_changes"]
    actions = {one["address"]: one["change"]["actions"] for one in changes if one["mode"] == "managed"}
    assert actions["module.leadger.module.cache.aws_elasticache_replication_group.main"] == ["update"]
    replaced = {address.split(".")[-2] for address, words in actions.items() if "delete" in words}
    assert replaced <= {"aws_secretsmanager_secret_version"}
