"""Report files go to S3 when the setting names a bucket, and the record of them matches what is there."""

import hashlib
from collections.abc import Iterator
from uuid import UUID

import boto3
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.row_keys import customer_uuid
from db.core.settings import Settings
from db.privacy import erased_files
from db.reports import snapshots
from tests.builders import lead
from tests.s3 import bucket_in_s3
from tests.world import World


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with bucket_in_s3(monkeypatch, "reports") as bucket:
        yield bucket


@pytest.fixture
async def in_s3(engine: AsyncEngine, settings: Settings, bucket: str) -> Settings:
    """One report of one customer, written to the bucket."""
    world = World(engine)
    await world.partner("acme")
    await world.product("crm", "acme")
    await world.customer("ann", "ann@example.com")
    await world.send(lead(customer="ann", product="crm"))
    in_s3 = settings.model_copy(update={"report_files_url": f"s3://{bucket}/files/"})
    partner_id, period = await report_written(engine)
    assert await snapshots.snapshot(engine, in_s3, partner_id, period) == 1
    return in_s3


async def report_written(engine: AsyncEngine) -> tuple[UUID, int]:
    async with transaction(engine, readonly=True) as connection:
        row = await connection.fetchrow("SELECT DISTINCT partner_id, period FROM product_periods")
    assert row is not None
    return row["partner_id"], row["period"]


async def recorded_contents(engine: AsyncEngine) -> dict[str, str]:
    """The files in the bucket, by format; they match the record."""
    contents = {}
    async with transaction(engine, readonly=True) as connection:
        recorded = await connection.fetch("SELECT format, url, size_bytes, sha256 FROM billing_report_files")
    for row in recorded:
        assert row["url"].startswith("s3://reports/files/")
        key = row["url"].removeprefix("s3://reports/")
        content = boto3.client("s3").get_object(Bucket="reports", Key=key)["Body"].read()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (row["size_bytes"], row["sha256"])
        contents[row["format"]] = content.decode()
    return contents


@pytest.mark.usefixtures("in_s3")
async def test_files_are_written_to_the_bucket(engine: AsyncEngine) -> None:
    contents = await recorded_contents(engine)
    assert contents.keys() == {"csv", "md"}
    assert all("ann@example.com" in content for content in contents.values())


@pytest.mark.parametrize("on_record", [True, False])
async def test_a_person_is_erased_from_the_files_in_the_bucket(
    engine: AsyncEngine, in_s3: Settings, on_record: bool
) -> None:
    person = customer_uuid("ann")
    async with transaction(engine) as connection:
        if not on_record:
            await connection.execute("DELETE FROM billing_report_files")
        actions = await erased_files.action_ids(connection, person)
        report, emails = await report_written(engine), {"ann@example.com"}
        assert await erased_files.erase(connection, in_s3, report, person, actions, emails) == 2
        assert await erased_files.erase(connection, in_s3, report, person, actions, emails) == 0
    keys = [found["Key"] for found in boto3.client("s3").list_objects(Bucket="reports")["Contents"]]
    texts = [boto3.client("s3").get_object(Bucket="reports", Key=key)["Body"].read().decode() for key in keys]
    assert len(texts) == 2
    assert not any("ann@example.com" in text for text in texts)
    assert all(f"{person}@erased.invalid" in text for text in texts)
    assert len(await recorded_contents(engine)) == (2 if on_record else 0)
