"""Reports as text: what every kind of row says in each format, the same live and as a file."""

import csv
import io
import itertools
import re
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.settings import Settings
from db.ledger.policies import Policies
from db.reports import live_report, report_lines, report_versions, snapshots
from db.reports.csv_format import csv_row
from db.reports.explained_actions import Line
from db.reports.formats import FORMATS, blocks
from tests.api.world import Json, action, bill, finish_tasks, get, lead, make, make_masters

WANTED = Path(__file__).parent / "report_text"
REASON = 'wrong, "really" *so* | <b>'


@pytest.fixture
async def months(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> dict[str, Json]:
    """April, closed, with every outcome, and May with a late action and a credit; both are written as files."""
    await make_masters(client, cap="22.00")
    await make(client, "products", external_id="b", partner="acme", name='A, "B" | C')
    await make(client, "customers", external_id="bob, jr", name="Bob", email="=bob*1@example.com")
    await bill(
        client,
        engine,
        policies,
        lead("full", action("Click"), action("Call", "Medium", "2024-04-02T10:00:00.000001Z")),
        lead("twice", action("Click", at="2024-04-03T10:00:00Z"), product_id="widget"),
        lead("part, of it", action("=Sum", at="2024-04-04T10:00:00.5Z"), product_id="b", lead_type="E-mail [1]"),
        lead("capped", action("Late Call", "Low", "2024-04-05T10:00:00Z")),
        lead("held", action("Visit", "Low", "2024-04-06T10:00:00Z"), customer_id="bob, jr"),
        lead("returned", action("Demo", "Low", "2024-04-07T10:00:00Z"), customer_id="bob, jr"),
        lead("billed", action("Click", at="2024-04-08T10:00:00Z"), customer_id="bob, jr"),
    )
    actions = {name: await _actions_of(client, name) for name in ("held", "returned", "billed")}
    await _decide(client, actions["held"], "hold")
    await _decide(client, actions["returned"], "return")
    closing = await client.post("/api/partners/acme/periods/2024-04/close")
    assert closing.status_code == 202
    await finish_tasks(engine, policies, settings)
    await bill(client, engine, policies, lead("late", action("Webinar", "Low", "2024-04-09T10:00:00Z")))
    await _decide(client, actions["billed"], "return")
    async with transaction(engine) as connection:  # the file of April is from before the credit
        await connection.execute("DELETE FROM billing_report_files")
        await connection.execute("DELETE FROM billing_reports")
        changed = await report_versions.changed_since_written(connection)
    assert [await snapshots.snapshot(engine, settings, *report) for report in changed] == [1, 1]
    return {report["period"]: report for report in (await get(client, "/billing/reports"))["items"]}


async def _actions_of(client: httpx.AsyncClient, lead_id: str) -> str:
    (found,) = (await get(client, f"/leads/{lead_id}"))["actions"]
    return str(found["action_id"])


async def _decide(client: httpx.AsyncClient, action_id: str, verb: str) -> None:
    response = await client.post(f"/api/actions/{action_id}/{verb}", json={"reason": REASON})
    assert response.status_code == 200, response.text


def _whenever(text: bytes) -> bytes:
    return re.sub(rb"As of [0-9: -]{19} UTC", b"As of then", text)


async def test_a_report_is_the_same_text_live_and_as_a_file(
    client: httpx.AsyncClient, months: dict[str, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    for period, kind in itertools.product(months, FORMATS):
        path = f"/billing/reports/{months[period]['report_id']}"
        wanted = (WANTED / f"{period}.{kind}").read_bytes()
        for lines_of_a_block in (1, 2, 100):
            monkeypatch.setattr("db.reports.formats.LINES_PER_BLOCK", lines_of_a_block)
            live = (await client.get(path, params={"format": kind})).content
            assert _whenever(live) == wanted
        written = (await client.get(path, params={"format": kind, "version": 1})).content
        assert _whenever(written) == wanted
        (version,) = (await get(client, f"{path}/versions"))["items"]
        (file,) = (file for file in version["files"] if file["format"] == kind)
        assert (file["size_bytes"], file["sha256"]) == (len(written), sha256(written).hexdigest())


@pytest.mark.parametrize("lines", [0, 1, 2, 3])
async def test_no_block_is_empty(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    """An empty block would end a body that is sent in chunks."""
    await make_masters(client)
    of_may = lead("of May", action(at="2024-05-01T00:00:00Z"))
    await bill(client, engine, policies, of_may, *(lead(f"lead-{n}") for n in range(lines)))
    monkeypatch.setattr("db.reports.formats.LINES_PER_BLOCK", 2)
    async with transaction(engine, readonly=True) as connection:
        partner_id = await connection.fetchval("SELECT id FROM partners")
        report = await live_report.read(connection, partner_id, 202404)
        texts = [each async for each in blocks(connection, report, list(FORMATS.values()))]
    assert len(texts) == 2 + -(-lines // 2)
    assert all(map(all, texts))


async def test_all_files_of_a_version_are_written_in_one_pass_over_its_lines(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    policies: Policies,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead())
    passes = 0
    lines = report_lines.lines

    def counted(*arguments: Any) -> AsyncIterator[Line]:
        nonlocal passes
        passes += 1
        return lines(*arguments)

    monkeypatch.setattr(report_lines, "lines", counted)
    async with transaction(engine) as connection:
        ((partner_id, period),) = await report_versions.changed_since_written(connection)
    assert await snapshots.snapshot(engine, settings, partner_id, period) == 1
    assert passes == 1
    assert len(list(settings.home.glob("reports/2024-04/*"))) == len(FORMATS) == 2


@given(st.lists(st.text(st.sampled_from('a,"\n\r\t =+-@;\x00é1.0'), max_size=4), max_size=4))
@example([])
@example([""])
@example(["", ""])
@example(["-1.00", "-1.0", "a,b", 'c"d'])
def test_a_csv_row_is_what_a_csv_writer_writes_of_defused_cells(cells: list[str]) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(
        "'" + cell if re.match(r"[=+\-@\t\r](?!\d+\.\d\d\Z)|[=+@\t\r]", cell) else cell for cell in cells
    )
    assert csv_row(cells) == buffer.getvalue()
