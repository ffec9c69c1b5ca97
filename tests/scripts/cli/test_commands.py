"""The commands against a running Leadger, each as a person types it."""

import asyncio
import csv
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from billing.leads import Lead, LeadAction
from db.access import api_keys
from db.intake.payloads import payload_from_lead
from scripts.cli.app import app
from scripts.client import Client
from tests.stack import Stack

Leadger = Callable[..., Result]
COMMANDS = (
    "up doctor migrate backup restore samples seed pause resume ingest lead explain batch quarantine dead-letters "
    "stuck report rebuild close reopen hold release return correct rates partners usage keys erase"
).split()


OFFICE = "users bills usage adjustments payments credit-notes statement ageing returns".split()


def test_every_command_of_the_office_answers_json_and_the_readme_names_all_commands() -> None:
    whole = get_command(app)
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    assert [name for name in whole.commands if f"`{name}" not in readme] == []  # type: ignore[attr-defined] # it is a group
    for name in OFFICE:
        command = whole.commands[name]  # type: ignore[attr-defined] # it is a group
        for each in getattr(command, "commands", {name: command}).values():
            assert "--json" in [option for parameter in each.params for option in parameter.opts], (name, each.name)


@pytest.fixture
def leadger(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Leadger:
    """Runs a command line and asserts its status."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in stack.env.items():
        monkeypatch.setenv(name, value)
    return _run


def _run(*words: object, status: int = 0, **options: Any) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words], **options)
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def partner(stack: Stack) -> str:
    """A partner of its own with one product and a lead of three actions: billed, duplicate, billed."""
    name = f"cli-{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": "Acme [bold]Corporation :smile:"})
        client.post("/api/products", {"external_id": f"{name}-product", "partner": name, "name": "Product"})
        client.wait_for(client.post("/leads", _lead(name))["status_url"], timeout_s=30)
    return name


def _lead(name: str, **changes: object) -> dict[str, object]:
    def action(action_type: str, level: str, day: int) -> dict[str, str]:
        at = f"2024-04-{day:02}T10:00:00Z"
        return {"action_type": action_type, "engagement_level": level, "timestamp": at}

    return {
        "lead_id": f"{name}/lead 1",
        "customer_id": f"{name}-customer",
        "customer": {"name": "Ann", "email": f"ann@{name}.example"},
        "product_id": f"{name}-product",
        "lead_type": "Event",
        "actions": [action("Visit", "High", 1), action("Visit", "High", 2), action("Like", "Low", 3)],
    } | changes


def _may_lead(leadger: Leadger, name: str) -> None:
    action = {"action_type": "Visit", "engagement_level": "Low", "timestamp": "2024-05-01T10:00:00Z"}
    leadger("ingest", "-", input=json.dumps(_lead(name, lead_id=f"{name} 2", actions=[action])))


def _json(result: Result) -> Any:
    return json.loads(result.stdout)


def _actions(leadger: Leadger, partner: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _json(leadger("lead", f"{partner}/lead 1", "--json"))["actions"]
    return found


def test_every_command_has_help() -> None:
    shown = _run("--help").stdout
    for command in COMMANDS:
        assert command in shown
        assert len(_run(command, "--help").stdout) > 200


def test_help_comes_quickly_because_nothing_heavy_is_loaded() -> None:
    program = "import sys; import scripts.cli.app; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "celery", "faker", "alembic", "asyncpg"} & set(done.stdout.split())


def test_leadger_runs_as_a_program(stack: Stack) -> None:
    words = [sys.executable, "-m", "scripts.cli", "keys", "list", "--json"]
    done = subprocess.run(words, env=stack.env, capture_output=True, text=True, check=True)
    assert "tests" in {key["name"] for key in json.loads(done.stdout)}


def test_samples_print_what_the_readme_shows_as_often_as_they_are_billed(leadger: Leadger) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    shown = readme.partition("<!-- output of scripts/run --once -->\n```text\n")[2].partition("```")[0]
    for _ in range(2):
        printed = leadger("samples").stdout
        assert "".join(line.rstrip() + "\n" for line in printed.splitlines()).strip() == shown.strip()


def test_samples_come_again_after_a_sample_customer_was_renamed(stack: Stack, leadger: Leadger) -> None:
    """Failed before: the name that differed was refused, and so `scripts/run` did not start any more."""
    leadger("samples")
    with Client(stack.url, stack.key) as client:
        renamed = client.patch("/api/customers/john", {"name": "John D. Doe"})
        leadger("samples")
        assert client.get("/api/customers/john")["name"] == renamed["name"] == "John D. Doe"
        client.patch("/api/customers/john", {"name": "John Doe"})


def test_samples_do_not_wait_for_the_end_of_a_pause(leadger: Leadger) -> None:
    leadger("pause", "new rates")
    try:
        said = leadger("samples", status=1).stderr
        assert said == "leadger: The workers are paused: the sample leads wait until `leadger resume`.\n"
    finally:
        leadger("resume")


def test_report_of_one_month(leadger: Leadger, partner: str) -> None:
    shown = leadger("report", partner, "--period", "2024-04", "--actions").stdout
    assert "Acme [bold]Corporation :smile: · 2024-04 · EUR" in shown
    assert re.search(r"Total +1 +3 +22\.00 +12\.00 +0\.00 +12\.00 +10\.00 +0\.00", shown)
    assert re.search(rf"ann@{partner}\.example +1 +3 +22\.00", shown)
    assert "Not Billed (Duplicate)" in shown
    assert "12.00 EUR billed of 22.00 EUR gross" in shown
    found = _json(leadger("report", partner, "--period", "2024-04", "--json"))
    assert (found["partner"], found["totals"]["billed"]) == (partner, "12.00")


def test_a_report_of_many_customers_is_complete(leadger: Leadger, partner: str) -> None:
    """The API sends the first hundred with a report."""
    people = [f"{partner}-{n}" for n in range(104)]
    leads = [_lead(partner, lead_id=p, customer_id=p, customer={"name": p, "email": f"{p}@x.example"}) for p in people]
    leadger("ingest", "-", input="\n".join(map(json.dumps, leads)))
    found = _json(leadger("report", partner, "--period", "2024-04", "--json"))
    assert len(found["customers"]) == 105
    assert (found["totals"]["net"], found["customers_next"]) == ("1260.00", None)
    assert sum(Decimal(each["totals"]["net"]) for each in found["customers"]) == Decimal("1260.00")
    (listed,) = _json(leadger("report", partner, "--json"))
    assert listed["customers"] == found["customers"]
    shown = leadger("report", partner, "--period", "2024-04").stdout
    assert all(f"{person}@x.example" in shown for person in people)


def test_report_as_a_list(leadger: Leadger, partner: str) -> None:
    assert re.search(rf"{partner} +2024-04 +1 +22\.00 +12\.00 +0\.00 +12\.00 +10\.00 ", leadger("report").stdout)
    found = _json(leadger("report", partner, "--format", "json"))
    assert [(each["partner"], each["period"]) for each in found] == [(partner, "2024-04")]
    assert (
        f"ann@{partner}.example"
        in leadger("report", partner, "--period", "2024-04", "--customer", f"{partner}-customer").stdout
    )


def test_a_file_is_one_report(leadger: Leadger, partner: str) -> None:
    _may_lead(leadger, partner)
    said = leadger("report", partner, "--format", "csv", status=1).stderr
    assert (
        said
        == f"leadger: 2 reports match ({partner} 2024-05, {partner} 2024-04); name one with PARTNER and --period.\n"
    )
    empty = leadger("report", partner, "--period", "2020-01", status=1).stderr
    assert empty == f"leadger: There is no such report: {partner} has no actions there.\n"


def test_report_as_files(leadger: Leadger, partner: str, tmp_path: Path) -> None:
    out = tmp_path / "april.csv"
    said = leadger("report", partner, "--out", out).stderr
    assert said == f"Wrote {out}, {out.stat().st_size:,} bytes.\n"
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["billed"] for row in rows] == ["10.00", "0.00", "2.00"]
    with_totals = leadger("report", partner, "--period", "2024-04", "--format", "csv", "--totals").stdout
    billed = [row["billed"] for row in csv.DictReader(io.StringIO(with_totals))]
    assert billed == ["10.00", "0.00", "2.00", "12.00", "12.00"]
    assert list(tmp_path.iterdir()) == [out]
    assert leadger("report", partner, "--format", "md").stdout.startswith("# Billing report: Acme")
    of_customer = leadger("report", partner, "--format", "csv", "--customer", f"{partner}-customer").stdout
    assert [row["billed"] for row in csv.DictReader(io.StringIO(of_customer))] == ["10.00", "0.00", "2.00"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("report", "nobody"), "There is no partner 'nobody'."),
        (("report", "--period", "2024-13"), "A period is a month like 2024-04, and not '2024-13'."),
        (("report", "--out", "missing/folder/x.csv"), "missing/folder/x.csv cannot be written: No such file"),
        (("report", "--totals", "--json"), "--totals adds rows to a whole report as CSV"),
        (("explain", "nothing"), "There is no lead 'nothing'."),
        (("explain", "00000000-0000-0000-0000-000000000000"), "There is no lead"),
        (("lead", "nothing"), "There is no lead 'nothing'."),
        (("batch", "00000000-0000-0000-0000-000000000000"), "There is no batch"),
        (("rebuild", "nobody", "2024-04"), "There is no partner 'nobody'."),
        (("close", "nobody", "April"), "A period is a month like 2024-04, and not 'April'."),
        (("hold", "00000000-0000-0000-0000-000000000000", "--reason", "x"), "There is no action"),
        (("quarantine", "retry", "--ids", "1,x"), "--ids takes numbers of the list, like 1,2,3"),
        (("keys", "revoke", "00000000-0000-0000-0000-000000000000"), "There is no key"),
        (("keys", "create", "x"), "Say what the key may do with --scope"),
        (("keys", "create", "x", "--scope", "all"), "There is no scope 'all'"),
        (("keys", "create", "x", "--first"), "name it with DATABASE_URL"),
        (("keys", "rotate", "00000000-0000-0000-0000-000000000000", "--overlap", "soon"), "--overlap takes a time"),
        (("ingest", "missing.json"), "missing.json cannot be read: No such file or directory."),
        (("seed", "--first-month", "2999-01"), "leads of the future are refused"),
        (("seed", "--first-month", "April"), "--first-month takes a month like 2024-04"),
        (("report", "--url", "http://127.0.0.1:1", "--key", "x"), "Nothing answers at http://127.0.0.1:1"),
        (("report", "--url", "http://127.0.0.1:1"), "Nothing answers at http://127.0.0.1:1"),
        (("report", "--url", "nonsense"), "'nonsense' is not an address like http://127.0.0.1:8000."),
        (("report", "--key", "nonsense"), "refused the API key"),
        (("report", "--key", "schlüssel"), "The API key has characters that no key has"),
    ],
)
def test_what_cannot_be_done_is_one_message(leadger: Leadger, partner: str, words: tuple[str, ...], said: str) -> None:
    result = leadger(*words, status=1)
    assert result.stdout == ""
    assert result.stderr.startswith("leadger: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_key_without_the_scope_is_reported(leadger: Leadger, partner: str) -> None:
    secret = leadger("keys", "create", "reader", "--scope", "read").stdout.strip()
    assert leadger("report", partner, "--key", secret).stdout
    said = leadger("close", partner, "2024-04", "--key", secret, status=1).stderr
    assert said == "leadger: This key has the scopes read; 'bill' is needed here.\n"


def test_the_address_comes_from_dev_env_and_its_key_goes_nowhere_else(
    leadger: Leadger, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LEADGER_URL", "LEADGER_API_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("LEADGER_HOME", str(tmp_path))
    assert "It is not known where Leadger is" in leadger("keys", "list", status=1).stderr
    (tmp_path / "dev.env").write_text(f"LEADGER_URL={stack.url}\nLEADGER_API_KEY={stack.key}\n")
    assert _json(leadger("keys", "list", "--json"))
    elsewhere = leadger("keys", "list", "--url", "http://127.0.0.1:1", status=1).stderr
    assert elsewhere == "leadger: There is no API key for http://127.0.0.1:1: give one with --key or LEADGER_API_KEY.\n"


def test_explain_a_lead_and_an_action(leadger: Leadger, partner: str) -> None:
    first, second, _ = _actions(leadger, partner)
    shown = leadger("explain", second["action_id"]).stdout
    assert f"Not billed: duplicate of action {first['action_id']} of 2024-04-01 10:00:00 UTC" in " ".join(
        shown.replace("│", "").split()
    )
    assert re.search(r"Cap +10\.00 used before, 10\.00 after, of 100\.00 EUR", shown)
    of_lead = leadger("explain", f"{partner}/lead 1").stdout
    assert of_lead.count("Why") == 3
    assert "12.00 of 22.00 EUR" in of_lead
    assert _json(leadger("explain", second["action_id"], "--json")) == second


def test_lead_and_batch(leadger: Leadger, stack: Stack, partner: str) -> None:
    shown = leadger("lead", f"{partner}/lead 1").stdout
    assert re.search(r"Visit · High · 2024-04-02 10:00:00 UTC +10\.00 +0\.00 +duplicate", shown)
    with Client(stack.url, stack.key) as client:
        accepted = client.post("/leads", [_lead(partner), _lead(partner, lead_id="b", product_id="none")])
        client.wait_for(accepted["status_url"])
    shown = leadger("batch", accepted["batch_id"]).stdout
    assert "1 replayed, 1 quarantined" in shown
    assert "1: b: " in shown


def test_a_lead_whose_id_is_a_word_of_a_path(leadger: Leadger, stack: Stack, partner: str) -> None:
    """Failed before: `leadger lead batches` showed no lead but ended in a traceback."""
    with Client(stack.url, stack.key) as client:
        named = [_lead(partner, lead_id=name, source=partner) for name in ("batches", "batches/x")]
        client.wait_for(client.post("/leads", named)["status_url"])
    for name in ("batches", "batches/x"):
        assert _json(leadger("lead", name, "--source", partner, "--json"))["lead_id"] == name
        assert leadger("explain", name, "--source", partner).stdout.count("Why") == 3
    said = leadger("lead", "batches/none", "--source", partner, status=1).stderr
    assert said == f"leadger: There is no lead 'batches/none' from {partner!r}.\n"
    assert leadger("lead", "batches/none", status=1).stderr == "leadger: There is no lead 'batches/none'.\n"


def test_hold_release_and_return(leadger: Leadger, partner: str) -> None:
    first, second, _ = _actions(leadger, partner)
    shown = leadger("hold", first["action_id"], "--reason", "asked [the] :smile: partner").stdout
    assert "Not billed while it is held (asked [the] :smile: partner)" in shown
    assert _actions(leadger, partner)[1]["outcome"] == "billed"
    leadger("release", first["action_id"], "--reason", "it was right")
    assert [each["outcome"] for each in _actions(leadger, partner)] == ["billed", "duplicate", "billed"]
    assert _json(leadger("return", second["action_id"], "--reason", "a mistake", "--json"))["outcome"] == "returned"
    corrected = _json(leadger("correct", first["action_id"], "--level", "Low", "--reason", "a short call", "--json"))
    assert (corrected["engagement_level"], corrected["corrects"]) == ("Low", first["action_id"])
    shown = leadger("explain", first["action_id"]).stdout
    assert "Corrected by" in shown
    assert leadger("correct", first["action_id"], "--reason", "x", status=1).stderr.startswith(
        "leadger: Say what is right"
    )


def test_rebuild_close_and_reopen(leadger: Leadger, partner: str) -> None:
    said = leadger("rebuild", partner, "2024-04").stdout
    assert said == "1 customers and 3 actions were re-evaluated; nothing differed.\n"
    closed = leadger("close", partner, "2024-04").stdout
    figures = r"[0-9]+\.00 EUR billed, 0\.00 credited, [0-9]+\.00 net; its report is version [0-9]+\."
    assert re.fullmatch(rf"{partner} 2024-04 is closed: {figures}\n", closed)
    assert leadger("close", partner, "2024-04", status=1).stderr == "leadger: April 2024 is already closed.\n"
    assert "closed, version" in leadger("report", partner, "--period", "2024-04").stdout
    assert leadger("reopen", partner, "2024-04").stdout.startswith(f"{partner} 2024-04 is open again")
    assert _json(leadger("rebuild", partner, "2024-04", "--json"))["differences"] == []


def test_closing_warns_and_closes_a_history(leadger: Leadger, stack: Stack, partner: str) -> None:
    """Failed before: of a history only what the last month lacks was named."""
    with Client(stack.url, stack.key) as client:
        late = _lead(partner, lead_id="later", customer_id=f"{partner}-nobody")
        del late["customer"]
        client.wait_for(client.post("/leads", late)["status_url"])
    leadger("hold", _actions(leadger, partner)[2]["action_id"], "--reason", "a doubt")
    assert leadger("close", partner, status=1).stderr.startswith("leadger: Name one month, or --through")
    assert leadger("close", partner, "2024-04", "--through", "2024-04", status=1).stderr.startswith("leadger: Name one")
    closing = leadger("close", partner, "--through", "2024-06")
    assert "1 leads through 2024-06 are in quarantine: leadger quarantine list. Once decided they" in closing.stderr
    assert "1 actions through 2024-06 are held; they move to the next month." in closing.stderr
    assert closing.stdout.startswith(f"{partner} 2024-06 is closed: 0.00 EUR billed, 0.00 credited, 0.00 net")
    assert [line.split()[0] for line in closing.stdout.splitlines()[3:]] == ["2024-04", "2024-05", "2024-06"]
    assert leadger("close", partner, "--through", "2024-06").stdout.startswith("Nothing was open")
    leadger("reopen", partner, "2024-06")
    again = leadger("close", partner, "2024-06", "--json")
    assert (_json(again)["undecided"]["quarantined"], "in quarantine" in again.stderr) == (0, False)


def test_quarantine(leadger: Leadger, stack: Stack, partner: str) -> None:
    with Client(stack.url, stack.key) as client:
        accepted = client.post("/leads", _lead(partner, lead_id="q", product_id=f"{partner}-later"))
        client.wait_for(accepted["status_url"])
        (found,) = [
            each
            for each in _json(leadger("quarantine", "list", "--limit", 0, "--json"))
            if each["batch_id"] == accepted["batch_id"]
        ]
        assert f"{partner}-later" in leadger("quarantine", "list", "--reason", "unknown_product", "--limit", "0").stdout
        assert leadger("quarantine", "retry", "--ids", found["id"]).stdout == "0 of 1 leads left the quarantine.\n"
        client.post("/api/products", {"external_id": f"{partner}-later", "partner": partner, "name": "Later"})
    deadline = time.monotonic() + 20
    while _json(leadger("lead", "q", "--json"))["state"] != "done":
        assert time.monotonic() < deadline
    assert leadger("dead-letters", "list").stderr == "There are no dead letters.\n"
    assert leadger("dead-letters", "retry").stdout == "0 of 0 leads wait again to be decided.\n"
    asyncio.run(_many_dead_letters(stack, 1_001))  # one more than a request retries
    assert leadger("dead-letters", "retry").stdout == "1,001 of 1,001 leads wait again to be decided.\n"
    assert leadger("dead-letters", "list").stderr == "There are no dead letters.\n"


async def _many_dead_letters(stack: Stack, number: int) -> None:
    """Dead letters of one lead, with a product that nobody knows."""
    action = LeadAction("Visit", "High", datetime(2024, 4, 1, tzinfo=UTC))
    payload = payload_from_lead(Lead(0, "", "dead", "nobody", "nothing", "Event", None, None, [action]))
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute(
        """
        INSERT INTO dead_letters (inbox_id, batch_id, received_at, lead_id, payload, error)
        SELECT 0, gen_random_uuid(), now(), gen_random_uuid(), $1, 'broken' FROM generate_series(1, $2::int)
        """,
        payload,
        number,
    )
    await connection.close()


def test_a_lead_is_discarded_from_the_quarantine(leadger: Leadger, stack: Stack, partner: str) -> None:
    with Client(stack.url, stack.key) as client:
        batch = client.post("/leads", _lead(partner, lead_id="never", product_id=f"{partner}-nothing"))
        client.wait_for(batch["status_url"])
    (row,) = [
        each
        for each in _json(leadger("quarantine", "list", "--limit", 0, "--json"))
        if each["batch_id"] == batch["batch_id"]
    ]
    discard = ("quarantine", "discard", "--ids", row["id"], "--reason", "a trial")
    assert leadger(*discard).stdout == "1 leads were discarded.\n"
    assert leadger(*discard).stdout == "0 leads were discarded; 1 were not open.\n"
    kept = _json(leadger("quarantine", "list", "--state", "discarded", "--limit", 0, "--json"))
    assert row["id"] in [each["id"] for each in kept]


def test_keys(leadger: Leadger, partner: str) -> None:
    made = _json(leadger("keys", "create", "erp", "--scope", "ingest", "--scope", "read", "--json"))
    assert re.search(rf"{made['key_id']} +erp +ingest, read .* valid", leadger("keys", "list").stdout)
    rotated = leadger("keys", "rotate", made["key_id"], "--overlap", "1h")
    new = rotated.stdout.strip()
    assert new.startswith("leadger_")
    assert new != made["key"]
    for secret in (new, made["key"]):
        leadger("report", partner, "--key", secret)
    assert "valid until" in leadger("keys", "list").stdout
    assert leadger("keys", "revoke", made["key_id"]).stderr == f"{made['key_id']} is revoked.\n"
    assert "refused the API key" in leadger("report", "--key", made["key"], status=1).stderr
    leadger("report", partner, "--key", new)


def test_of_a_first_key_that_was_made_elsewhere_only_the_checksum_is_told(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    digest = sha256(b"leadger_of-my-own").hexdigest()
    for wrong in ("x", digest.upper(), digest[1:], digest + "\n"):
        said = _run("keys", "create", "mine", "--first", "--sha256", wrong, status=1).stderr
        assert said == "leadger: --sha256 takes 64 hexadecimal digits, the SHA-256 of a key.\n"
    said = _run("keys", "create", "mine", "--scope", "admin", "--sha256", digest, status=1).stderr
    assert said == "leadger: --sha256 goes with --first.\n"
    made = _run("keys", "create", "mine", "--first", "--sha256", digest)
    assert made.stdout == ""
    assert made.stderr == "The key mine may be used, for ingest, read, bill, pricing, metrics, admin.\n"

    async def find() -> api_keys.ApiKey | None:
        connection = await asyncpg.connect(database_url)
        try:
            return await api_keys.find_valid(connection, "leadger_of-my-own")
        finally:
            await connection.close()

    found = asyncio.run(find())
    assert found is not None
    assert (found.name, found.scopes) == ("mine", api_keys.SCOPES)


def test_the_first_key_comes_from_the_database_and_only_once(
    monkeypatch: pytest.MonkeyPatch, database_url: str, server_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert _run("keys", "create", "first", "--first").stdout.startswith("leadger_")
    said = _run("keys", "create", "second", "--first", status=1).stderr
    assert said == "leadger: There are keys already: make more with an admin key and without --first.\n"
    said = _run("keys", "create", "third", "--first", "--sha256", "0" * 64, status=1).stderr
    assert said == "leadger: There are keys already: make more with an admin key and without --first.\n"
    monkeypatch.setenv("DATABASE_URL", server_url)
    assert "has no tables yet" in _run("keys", "create", "x", "--first", status=1).stderr
    monkeypatch.setenv("DATABASE_URL", "postgres://user:secret@127.0.0.1:1/x")
    said = _run("keys", "create", "x", "--first", status=1).stderr
    assert "cannot be used" in said
    assert "secret" not in said


def test_rates_are_listed_set_and_ended_and_previewed(leadger: Leadger, partner: str) -> None:
    leadger("close", partner, "2024-03")
    preview = _json(leadger("rates", "set", "8.00", "--partner", partner, "--dry-run", "--json"))
    assert preview == {
        "complete": True,
        "customers": 1,
        "actions": 3,
        "differences": [
            {
                "partner": partner,
                "period": "2024-04",
                "currency": "EUR",
                "actions": 3,
                "gross": "2.00",
                "billed": "4.00",
            }
        ],
    }
    shown = leadger("rates", "set", "8.00", "--partner", partner, "--dry-run")
    assert re.search(rf"{partner} +2024-04 +3 +\+2\.00 +\+4\.00 +EUR", shown.stdout)
    assert "Nothing was changed." in shown.stderr
    assert [each["value"] for each in _actions(leadger, partner)] == ["10.00", "10.00", "2.00"]
    made = _json(leadger("rates", "set", "80.00", "--partner", partner, "--from", "2024-04", "--json"))
    assert (made["effective_from"], made["judged"]) == ("2024-04", {"customers": 1})
    shown = leadger("rates", "set", "8.00", "--rule", made["rule_id"])
    changed = int(re.findall(r"Rule (\d+)", shown.stdout)[0])
    assert shown.stdout == (
        f"Rule {changed} ({partner}) counts: 8.00; it replaces rule {made['rule_id']}. 1 customers were re-evaluated.\n"
    )
    assert [each["value"] for each in _actions(leadger, partner)] == ["8.00", "8.00", "8.00"]
    listed = leadger("rates", "list", "--partner", partner).stdout
    assert re.search(rf"{changed} +{partner} +8\.00 +2024-04-01T00:00:00Z", listed)
    assert str(made["rule_id"]) not in {line.split()[0] for line in listed.splitlines() if line.split()}
    ended = leadger("rates", "end", changed)
    assert ended.stdout == f"Rule {changed} ({partner}) has ended. 1 customers were re-evaluated.\n"
    found = _json(leadger("rates", "list", "--partner", partner, "--ended", "--json"))
    states = [(each["rule_id"], each["replaced_by"], each["counts"]["ever"]) for each in found if each["partner"]]
    assert states == [(made["rule_id"], changed, False), (changed, None, False)]
    again = leadger("rates", "end", changed, status=1)
    assert f"Rule {changed} has ended." in again.stderr
    leadger("rates", "set", "8.00", "--rule", changed, "--partner", partner, status=2)


def test_b3_terms_are_shown_and_changed(leadger: Leadger, partner: str) -> None:
    changes = (
        "cap=50.00",
        "payment_days=14",
        "overage_unit_cost=0.0125",
        "usage_sources=api, batch",
        "tax=S 20.00 VAT at home",
        "preferences.approvals=csm,sales:1000.00",
        "preferences.language=de",
        "require_csm_approval=yes",
        "po_number=7",
    )
    changed = _json(leadger("partners", "terms", partner, *changes, "--from", "2024-05", "--json"))
    assert (changed["cap"], changed["overage_unit_cost"], changed["usage_sources"]) == (
        "50.00",
        "0.012500",
        ["api", "batch"],
    )
    assert (changed["payment_days"], changed["po_number"], changed["require_csm_approval"]) == (14, "7", True)
    assert changed["tax"] == {"category": "S", "rate": "20.00", "note": "VAT at home"}
    assert changed["preferences"]["approvals"] == [{"by": "csm", "above": None}, {"by": "sales", "above": "1000.00"}]
    said = leadger("partners", "terms", partner, "tax=none", "usage_sources=none", "preferences.approvals=nobody")
    assert said.stdout == "The terms of Acme [bold]Corporation :smile: are changed.\n"
    shown = leadger("partners", "terms", partner).stdout
    assert [line.split()[0] for line in shown.splitlines()[2:4]] == ["the", "2024-05"]
    assert "S 20.00 %" in shown
    assert [each["payment_days"] for each in _json(leadger("partners", "terms", partner, "--json"))] == [30, 14]
    refused = leadger("partners", "terms", partner, "payment_days=soon", status=1)
    assert refused.stderr == "leadger: #/payment_days must be a valid integer.\n"
    assert "NAME=VALUE" in leadger("partners", "terms", partner, "soon", status=1).stderr


def test_partners_and_products_are_made_and_listed(leadger: Leadger) -> None:
    made = ("partners", "create", "made/1", "Made [b]& Sons", "currency=GBP", "timezone=Europe/London", "cap=80.00")
    for _ in range(2):
        assert leadger(*made).stdout == "There is Made [b]& Sons, made/1: GBP, Europe/London.\n"
    assert _json(leadger(*made, "--json"))["cap"] == "80.00"
    refused = leadger(*made[:4], "currency=EUR", status=1).stderr
    assert refused == "leadger: Partner 'made/1' exists with another currency: 'GBP'.\n"
    product = ("products", "create", "made-crm", "CRM", "--partner", "made/1")
    assert leadger(*product).stdout == "There is CRM, made-crm, of made/1.\n"
    assert ("made/1", None) in [
        (each["external_id"], each["closed_through"])
        for each in _json(leadger("partners", "list", "--limit", 0, "--json"))
    ]
    listed = _json(leadger("products", "list", "--limit", 0, "--json"))
    assert ("made-crm", "made/1") in [(each["external_id"], each["partner"]) for each in listed]
    assert "made-crm" in leadger("products", "list", "--limit", 0).stdout


def test_b2_usage_is_entered_and_listed(leadger: Leadger, partner: str, tmp_path: Path) -> None:
    said = leadger("usage", "set", partner, "2024-04", 1500, "--source", "API", "--name", "calls")
    assert said.stdout == f"{partner} has 1,500 units of api calls in 2024-04.\n"
    assert "send `replace`" in leadger("usage", "set", partner, "2024-04", 7, "--name", "calls", status=1).stderr
    assert _json(leadger("usage", "set", partner, "2024-04", 7, "--name", "calls", "--replace", "--json"))["entry"] == 2
    assert [each["units"] for each in _json(leadger("usage", "list", "--partner", partner, "--json"))] == [7]
    history = leadger("usage", "list", "--partner", partner, "--period", "2024-04", "--source", "api", "--history")
    assert [line.split()[4] for line in history.stdout.splitlines()[2:]] == ["1,500", "7"]
    file, heading = tmp_path / "usage.csv", "# counted by us\npartner;period;source;key;units\n"
    file.write_text(f"{heading}{partner};2024-05;sms;total;80\n{partner};2024-05;api;total;9\n")
    for _ in range(2):
        assert leadger("usage", "import", file).stderr == "2 entries of usage.csv are there.\n"
    may = leadger("usage", "list", "--partner", partner, "--period", "2024-05", "--json")
    assert [(each["source"], each["units"]) for each in _json(may)] == [("api", 9), ("sms", 80)]
    file.write_text(f"{heading}{partner};2024-06;sms;total;80\n{partner};2024-06;api;;many\n")
    assert "line 4 has no key; nothing was entered." in leadger("usage", "import", file, status=1).stderr
    assert leadger("usage", "list", "--partner", partner, "--period", "2024-06", "--json").stdout == "[]\n"
