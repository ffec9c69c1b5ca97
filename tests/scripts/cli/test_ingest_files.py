import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing.lead_files.lead_entries import Entry, Line, Unreadable
from billing.lead_files.reading import read_leads
from scripts.cli.ingest.source import open_source
from scripts.cli.ingest.upload import Intake, RejectedLine
from scripts.client import Client
from tests.stack import Stack


def test_bytes_are_counted_as_they_are_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "leads.ndjson.gz"
    shown: list[int] = []
    path.write_bytes(gzip.compress(b'{"a":1}\n' * 1000))
    with open_source(str(path)) as (source, size):
        assert len(list(read_leads(source, path.name, None, shown.append))) == 1000
    assert sum(shown) == size == path.stat().st_size


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unreadable, match="cannot be read"), open_source(str(tmp_path / name)):
        pass


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": "ingest", "name": "Ingest"})
        client.post("/api/products", {"external_id": "ingest-product", "partner": "ingest", "name": "Product"})
        yield client


def _entry(lead_id: str, *levels: object, lines: tuple[int, ...] = (1,)) -> Entry:
    lead = {
        "lead_id": lead_id,
        "customer_id": f"of {lead_id}",
        "customer": {"name": "Ann", "email": f"{lead_id}@ingest.example"},
        "product_id": "ingest-product",
        "lead_type": "Event",
        "actions": [
            {"action_type": f"Visit {place}", "engagement_level": level, "timestamp": "2024-04-01T10:00:00Z"}
            for place, level in enumerate(levels)
        ],
    }
    return Entry(json.dumps(lead).encode(), tuple(Line(number, b"text") for number in lines))


def test_bad_leads_are_rejected_and_the_good_ones_billed(client: Client) -> None:
    rejected: list[RejectedLine] = []
    intake = Intake(client, rejected.append)
    intake.add(_entry("intake-1", "High"))
    intake.add(_entry("intake-2", "Huge", lines=(7,)))
    intake.add(_entry("intake-3", "Low", "Huge", "Tiny", lines=(8, 20, 9)))
    intake.add(Entry(b"{nonsense", (Line(30, b"{nonsense"),)))
    intake.flush()
    assert intake.follow(30)
    assert {each.line.number: each.reasons for each in rejected} == {
        7: ("/actions/0/engagement_level must be High, Medium or Low",),
        8: ("belongs to the same lead as line 20, 9",),
        20: ("/actions/1/engagement_level must be High, Medium or Low",),
        9: ("/actions/2/engagement_level must be High, Medium or Low",),
        30: (rejected[-1].reasons[0],),
    }
    assert "is not valid JSON" in rejected[-1].reasons[0]
    counts = intake.counts
    assert (counts.accepted, counts.rejected, counts.waiting) == (1, 3, 0)
    assert counts.leads["new"] == counts.actions["billed"] == 1


def test_a_batch_of_nothing_but_bad_leads(client: Client) -> None:
    rejected: list[RejectedLine] = []
    intake = Intake(client, rejected.append)
    for number in range(1000):
        intake.add(_entry(f"bad-{number}", *(["Huge"] * 11), lines=(number,)))
    assert intake.follow(0)
    assert intake.counts.accepted == 0
    assert intake.counts.rejected == 1000
    assert [each.line.number for each in rejected] == list(range(1000))
    assert {len(each.reasons) for each in rejected} == {11}  # also beyond the 10,000 that one answer lists


def test_a_batch_that_is_too_large_is_sent_in_parts(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.cli.ingest.upload.BATCH_BYTES", 100_000_000)
    rejected: list[RejectedLine] = []
    intake = Intake(client, rejected.append)
    for number in range(3):
        entry = _entry(f"large-{number}", "Low", lines=(number,))
        intake.add(Entry(entry.body + b" " * (6_000_000 if number else 17_000_000), entry.lines))
    intake.flush()
    assert intake.follow(30)
    assert intake.counts.accepted == 2
    assert [each.line.number for each in rejected] == [0]
    assert "larger than" in rejected[0].reasons[0]
