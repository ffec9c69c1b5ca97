"""`leadger ingest` against a running Leadger."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from scripts.cli.app import app
from scripts.client import Client
from scripts.samples.sample_leads import SAMPLES
from tests.stack import Stack


@pytest.fixture(autouse=True)
def _here(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in stack.env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def product(stack: Stack) -> str:
    name = f"ingest-{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": "Partner"})
        client.post("/api/products", {"external_id": name, "partner": name, "name": "Product"})
    return name


def _ingest(*words: object, status: int = 0, **options: Any) -> Result:
    result = CliRunner().invoke(app, ["ingest", *(str(word) for word in words)], **options)
    assert result.exit_code == status, result.output
    return result


def _json_of(*words: object, status: int = 0, **options: Any) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(_ingest(*words, "--json", status=status, **options).stdout)
    return shown


def _names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def _line(product: str, number: int, level: str = "High") -> str:
    action = {"action_type": f"Visit {number}", "engagement_level": level, "timestamp": "2024-04-01T10:00:00Z"}
    return json.dumps(
        {
            "lead_id": f"{product}-{number}",
            "customer_id": product,
            "customer": {"name": "Ann", "email": f"ann@{product}.example"},
            "product_id": product,
            "lead_type": "Event",
            "actions": [action],
        }
    )


def test_a_file_is_ingested_and_again_without_effect(stack: Stack, product: str) -> None:
    Path("leads.ndjson").write_text("\n".join(_line(product, number) for number in range(1500)))
    shown = _json_of("leads.ndjson")
    assert (shown["accepted"], shown["rejected"], shown["waiting"]) == (1500, 0, 0)
    assert shown["leads"]["new"] == 1500
    with Client(stack.url, stack.key) as client:
        (report,) = client.pages("/billing/reports", partner=product)
    assert (report["totals"]["actions"], report["totals"]["billed"]) == (1500, "100.00")
    again = _json_of("leads.ndjson")
    assert (again["leads"]["new"], again["leads"]["replayed"]) == (0, 1500)
    assert _names() == ["leads.ndjson"]


def test_bad_lines_go_to_a_reject_file(product: str) -> None:
    lines = [_line(product, 1), _line(product, 2, "Huge"), "{nonsense", "", _line(product, 3)]
    Path("leads.txt").write_text("\n".join(lines))
    result = _ingest("leads.txt", status=2)
    assert "2 lines of leads.txt were rejected; leads.txt.rejected.ndjson says why." in result.stderr
    rejected = [json.loads(line) for line in Path("leads.txt.rejected.ndjson").read_text().splitlines()]
    assert [(each["file"], each["line"], each["text"]) for each in rejected] == [
        ("leads.txt", 2, lines[1]),
        ("leads.txt", 3, lines[2]),
    ]
    assert rejected[0]["reasons"] == ["/actions/0/engagement_level must be High, Medium or Low"]
    Path("leads.txt").write_text(lines[0])
    _ingest("leads.txt")
    assert _names() == ["leads.txt"]  # what was rejected before is so no more


def test_csv_json_gzip_and_standard_input_together(product: str) -> None:
    header = (
        "lead_id,customer_id,customer_name,customer_email,product_id,lead_type,action_type,engagement_level,timestamp"
    )
    row = f"{product}-csv,{product},Ann,ann@{product}.example,{product},Event,Visit,"
    Path("a.csv").write_text(f"{header}\n{row}High,2024-04-01T10:00:00Z\n{row}Huge,2024-04-01T10:00:00Z\n{row}Low\n")
    Path("b.json.gz").write_bytes(gzip.compress(f"[{_line(product, 1)}]".encode()))
    shown = _json_of("a.csv", "b.json.gz", "-", "--rejects", "bad.ndjson", input=_line(product, 2), status=2)
    assert (shown["accepted"], shown["rejected"]) == (2, 2)
    rejected = [json.loads(line) for line in Path("bad.ndjson").read_text().splitlines()]
    assert {each["line"]: each["reasons"] for each in rejected} == {
        4: ["has 8 fields where the heading has 9"],
        2: ["belongs to the same lead as line 3"],
        3: ["/actions/1/engagement_level must be High, Medium or Low"],
    }


def test_the_samples_are_taken_as_they_are() -> None:
    assert _json_of(SAMPLES / "leads.json")["accepted"] == 4


def test_quarantined_leads_are_named(product: str) -> None:
    Path("leads.json").write_text(_line(product, 1).replace(f'"product_id": "{product}"', '"product_id": "[red]none"'))
    result = _ingest("leads.json")
    assert "unknown product: 1 leads in quarantine" in result.stdout
    assert "[red]none" in result.stdout


def test_possible_corrections_are_told_of_with_the_command_that_corrects_one(product: str) -> None:
    for number in (1, 2):
        _ingest("-", input=_line(product, number))
    shown = _ingest("-", input=_line(product, 2, "Low")).output
    assert "1 new actions of known leads differ from stored ones in level or type only" in shown
    assert re.search(r'leadger correct [0-9a-f-]{36} --level "Low" --reason "…"', shown)
    (found,) = _json_of("-", input=_line(product, 1, "Medium"))["possible_corrections"]
    assert (found["lead_id"], found["stored"], found["sent"]) == (f"{product}-1", "High", "Medium")


def test_without_waiting(product: str) -> None:
    Path("leads.json").write_text(_line(product, 1))
    assert _json_of("leads.json", "--no-wait")["accepted"] == 1


def test_a_damaged_file_ends_with_a_sentence_after_what_could_be_read(product: str) -> None:
    packed = gzip.compress("\n".join(_line(product, number) for number in range(3000)).encode())
    Path("leads.ndjson.gz").write_bytes(packed[: len(packed) * 9 // 10])
    result = _ingest("leads.ndjson.gz", status=1)
    assert "leads were accepted before this; sending everything again is safe." in result.stderr
    assert "leadger: leads.ndjson.gz is damaged" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("missing.json",), "missing.json cannot be read: No such file or directory."),
        ((".",), ". cannot be read: Is a directory."),
        (("leads.json", "--rejects", "missing/x"), "Rejected lines cannot be written to missing/x"),
    ],
)
def test_files_that_cannot_be_used(product: str, words: tuple[str, ...], said: str) -> None:
    Path("leads.json").write_text(_line(product, 1))
    result = _ingest(*words, status=1)
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_file_that_is_refused_whole_leaves_no_empty_reject_file(stack: Stack) -> None:
    Path("x.csv").write_text("lead_id,when\n")
    assert "lacks the columns" in _ingest("x.csv", status=1).stderr
    assert _names() == ["x.csv"]


def test_the_end_of_a_pipe_is_no_error(stack: Stack) -> None:
    command = f"{sys.executable} -m scripts.cli keys list --json | head -c 1"
    done = subprocess.run(["sh", "-c", command], env=stack.env, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[", "")
