"""Report files go to S3 when the setting names a bucket, and what is recorded of them is what lies there."""

import hashlib
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy.ext.asyncio import AsyncEngine

from db import report_files, reports
from db.engine import transaction
from db.settings import Settings
from scripts.embedded.ports import free_port
from tests.builders import lead
from tests.world import World

REGION = "eu-central-1"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="reports", CreateBucketConfiguration={"LocationConstraint": REGION})
    yield "reports"
    server.stop()


async def test_files_are_written_to_the_bucket(engine: AsyncEngine, settings: Settings, bucket: str) -> None:
    world = World(engine)
    await world.partner("acme")
    await world.product("crm", "acme")
    await world.customer("ann", "ann@example.com")
    await world.send(lead(customer="ann", product="crm"))
    in_s3 = settings.model_copy(update={"report_files_url": f"s3://{bucket}/files/"})
    async with transaction(engine, readonly=True) as connection:
        [(partner_id, period)] = await reports.changed_since_written(connection)
    assert await report_files.snapshot(engine, in_s3, partner_id, period) == 1
    async with transaction(engine, readonly=True) as connection:
        recorded = await connection.fetch("SELECT format, url, size_bytes, sha256 FROM billing_report_files")
    assert {row["format"] for row in recorded} == {"csv", "md"}
    for row in recorded:
        assert row["url"].startswith("s3://reports/files/")
        key = row["url"].removeprefix("s3://reports/")
        content = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (row["size_bytes"], row["sha256"])
