"""On AWS, a plan that would lose the database or the report files is refused as a whole; rotating a secret is not.

The last test takes what the others look at down, in the way that the README describes.
"""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.terraform.cli import Failed, Terraform, copy_of_terraform
from tests.terraform.emulator import REGION, Emulator, running_emulator
from tests.terraform.report_files import put_report_files

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("keepers")]

# With a replica wished for, the master password is one of ours. The replica itself is never made here: moto gives it
# the identity of its original, and the provider looks for it in vain.
SIZE = (
    "-input=false",
    "-var-file=smallest.tfvars",
    "-var=database={read_replicas=1}",
    "-var=image_tag=1",
    f"-var=region={REGION}",
)
_OTHER_KEY = f"-var=kms_key_arn=arn:aws:kms:{REGION}:123456789012:key/00000000-0000-0000-0000-000000000000"
WITHOUT_REPLICAS = "-var=database={read_replicas=0}"
KEEPERS = "-target=terraform_data.keeper"
CACHE = "-target=module.leadger.module.cache"
STORAGE = "-target=module.leadger.module.storage"
DATABASE = "-target=module.leadger.module.database.aws_db_instance.main"
MASTER_LOGIN = "-target=module.leadger.module.database.aws_secretsmanager_secret_version.master"

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
_PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()
_SERVICES = "ec2 elasticache iam logs rds s3 secretsmanager sts".split()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recording") / "requests"


@pytest.fixture(scope="module")
def emulator(recording: Path) -> Iterator[Emulator]:
    with running_emulator(recording) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, plugin_dir: Path, emulator: Emulator) -> Terraform:
    """The AWS environment's database, cache and report files with their keepers."""
    folder = copy_of_terraform(tmp_path_factory.mktemp("kept") / "terraform") / "environments" / "aws"
    endpoints = "\n".join(f'    {service} = "{emulator.url}"' for service in _SERVICES)
    (folder / "stay_here_override.tf").write_text(_STAY_HERE % endpoints)
    terraform = Terraform(folder, plugin_dir)
    terraform.run("init", "-input=false", f"-plugin-dir={plugin_dir}")
    terraform.run("apply", "-auto-approve", *SIZE, KEEPERS, CACHE, MASTER_LOGIN)
    return terraform


def test_destroy_is_refused(kept: Terraform) -> None:
    with pytest.raises(Failed, match="Instance cannot be destroyed"):
        kept.run("plan", "-destroy", *SIZE)


def test_a_new_database_is_refused(kept: Terraform) -> None:
    with pytest.raises(Failed) as refused:
        kept.run("plan", *SIZE, _OTHER_KEY, KEEPERS)
    assert 'terraform_data.keeper["database"] has lifecycle.prevent_destroy' in " ".join(str(refused.value).split())


def test_a_new_database_is_refused_also_before_a_migration(kept: Terraform) -> None:
    """By the first line of each release, as the README has it."""
    readme = (Path(__file__).parents[2] / "terraform/README.md").read_text()
    (targets,) = re.findall(r"apply (-target=module\.leadger\.module\.migrate .*) &&", readme)
    with pytest.raises(Failed) as refused:
        kept.run("plan", *SIZE, _OTHER_KEY, *targets.split())
    assert 'terraform_data.keeper["database"] has lifecycle.prevent_destroy' in " ".join(str(refused.value).split())


def test_a_new_bucket_is_refused(kept: Terraform) -> None:
    with pytest.raises(Failed) as refused:
        kept.run("plan", *SIZE, "-var=environment=renamed", KEEPERS)
    assert 'terraform_data.keeper["report_files"] has lifecycle.prevent_destroy' in " ".join(str(refused.value).split())


def test_growing_is_not(kept: Terraform) -> None:
    bigger = '-var=database={instance_class="db.m7g.large", multi_az=true}'
    kept.run("plan", *SIZE, bigger, KEEPERS, "-out=bigger.tfplan")
    changes = json.loads(kept.run("show", "-json", "bigger.tfplan"))["resource_changes"]
    (database,) = [one for one in changes if one["address"].endswith("module.database.aws_db_instance.main")]
    assert database["change"]["actions"] == ["update"]


def test_rotating_a_secret_replaces_neither_cache_nor_database(kept: Terraform) -> None:
    rotated = ("-var=cache={auth_token_version=2}", "-var=database={read_replicas=1, master_password_version=2}")
    kept.run("plan", *SIZE, *rotated, CACHE, MASTER_LOGIN, "-out=rotate.tfplan")
    changes = json.loads(kept.run("show", "-json", "rotate.tfplan"))["resource_changes"]
    actions = {one["address"]: one["change"]["actions"] for one in changes if one["mode"] == "managed"}
    assert actions["module.leadger.module.cache.aws_elasticache_replication_group.main"] == ["update"]
    assert actions["module.leadger.module.database.aws_db_instance.main"] == ["update"]
    replaced = {re.sub(r"\[.*", "", address).split(".")[-2] for address, words in actions.items() if "delete" in words}
    assert replaced == {"aws_secretsmanager_secret_version"}


def test_a_master_password_of_ours_is_known_to_its_secret_alone(
    kept: Terraform, emulator: Emulator, recording: Path
) -> None:
    secrets = emulator.client("secretsmanager")
    (arn,) = [one["ARN"] for one in secrets.list_secrets()["SecretList"] if "/master-login-" in one["Name"]]
    login = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    assert re.fullmatch("[0-9a-f]{64}", login["password"])
    (asked,) = _asked(recording, "CreateDBInstance")
    assert (asked["MasterUsername"], asked["MasterUserPassword"]) == ([login["username"]], [login["password"]])
    assert "ManageMasterUserPassword" not in asked
    state = (kept.folder / "terraform.tfstate").read_text()
    assert arn in state
    assert login["password"] not in state


def _delete(databases: Any, name: str) -> None:
    databases.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False)
    databases.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def _asked(recording: Path, action: str) -> list[dict[str, list[str]]]:
    """What RDS was asked for."""
    lines = map(json.loads, recording.read_text().splitlines())
    asked = [parse_qs(base64.b64decode(line["body"]).decode()) for line in lines if line["body_encoded"]]
    return [words for words in asked if words.get("Action") == [action]]


def test_a_database_of_an_earlier_time_takes_the_place_of_the_one_there_is(kept: Terraform, emulator: Emulator) -> None:
    """As docs/operations.md has it typed, but for the waiting."""
    databases = emulator.client("rds")
    (old,) = databases.describe_db_instances()["DBInstances"]
    name = old["DBInstanceIdentifier"]
    restored = databases.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=name,
        TargetDBInstanceIdentifier=f"{name}-restored",
        UseLatestRestorableTime=True,
        DBSubnetGroupName=old["DBSubnetGroup"]["DBSubnetGroupName"],
        VpcSecurityGroupIds=[group["VpcSecurityGroupId"] for group in old["VpcSecurityGroups"]],
        DBParameterGroupName=old["DBParameterGroups"][0]["DBParameterGroupName"],
        PubliclyAccessible=False,
    )["DBInstance"]
    # Without replicas RDS keeps the password, also of this one once it is told.
    databases.modify_db_instance(DBInstanceIdentifier=f"{name}-restored", ManageMasterUserPassword=True)
    for before, after in ((name, f"{name}-before"), (f"{name}-restored", name)):
        databases.modify_db_instance(DBInstanceIdentifier=before, NewDBInstanceIdentifier=after, ApplyImmediately=True)
    adopt = (
        _PAGE.partition("cat > import.tf <<'END'\n")[2].partition("\n    END\n")[0].replace("leadger-production", name)
    )
    main = "module.leadger.module.database.aws_db_instance.main"
    assert f"terraform state rm {main} 'terraform_data.keeper[\"database\"]'" in _PAGE
    kept.run("state", "rm", main, 'terraform_data.keeper["database"]')
    (kept.folder / "import.tf").write_text(adopt)
    kept.run("apply", "-auto-approve", *SIZE, WITHOUT_REPLICAS, KEEPERS, CACHE, DATABASE)
    (kept.folder / "import.tf").unlink()
    found = {each["DBInstanceIdentifier"]: each for each in databases.describe_db_instances()["DBInstances"]}
    assert {each: one["DbiResourceId"] for each, one in found.items()} == {
        name: restored["DbiResourceId"],
        f"{name}-before": old["DbiResourceId"],
    }
    assert found[name]["DeletionProtection"] is True
    with pytest.raises(Failed, match="Instance cannot be destroyed"):
        kept.run("plan", "-destroy", *SIZE)
    _delete(databases, f"{name}-before")


def test_a_database_that_is_gone_is_made_anew_only_when_told(kept: Terraform, emulator: Emulator) -> None:
    databases = emulator.client("rds")
    (lost,) = databases.describe_db_instances()["DBInstances"]
    _delete(databases, lost["DBInstanceIdentifier"])
    with pytest.raises(Failed) as refused:
        kept.run("plan", *SIZE, KEEPERS)
    assert 'terraform_data.keeper["database"] has lifecycle.prevent_destroy' in " ".join(str(refused.value).split())
    assert """terraform state rm 'terraform_data.keeper["database"]' && terraform apply""" in _PAGE
    kept.run("state", "rm", 'terraform_data.keeper["database"]')
    kept.run("apply", "-auto-approve", *SIZE, KEEPERS, CACHE, DATABASE, MASTER_LOGIN)
    (made,) = databases.describe_db_instances()["DBInstances"]
    assert made["DbiResourceId"] != lost["DbiResourceId"]
    assert made["DBInstanceIdentifier"] == lost["DBInstanceIdentifier"]
    with pytest.raises(Failed, match="Instance cannot be destroyed"):
        kept.run("plan", "-destroy", *SIZE)


def test_what_holds_data_is_taken_down_on_purpose(kept: Terraform, emulator: Emulator) -> None:
    databases, s3 = emulator.client("rds"), emulator.client("s3")
    (database,) = databases.describe_db_instances()["DBInstances"]
    (bucket,) = s3.list_buckets()["Buckets"]
    assert database["DeletionProtection"] is True
    (kept.folder / "protections.tf").unlink()
    unprotected = (*SIZE, "-var=protected=false")
    kept.run("apply", "-auto-approve", *unprotected, KEEPERS, CACHE, STORAGE, DATABASE, MASTER_LOGIN)
    (database,) = databases.describe_db_instances()["DBInstances"]
    assert database["DeletionProtection"] is False
    put_report_files(emulator, bucket["Name"])
    kept.run("destroy", "-auto-approve", *unprotected)
    assert kept.state() == []
    assert databases.describe_db_instances()["DBInstances"] == []
    assert databases.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"] == []
    assert s3.list_buckets()["Buckets"] == []
