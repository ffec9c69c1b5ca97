"""B10, B11 on a schedule: what is issued is proven once, then again; a difference is logged and counted."""

from collections.abc import MutableMapping
from typing import Any

import asyncpg
import pytest

from db.bills import proofs as bill_proofs
from db.core.engine import transaction
from db.telemetry import business_figures
from tests.api.office import Office
from tests.api.world import Json
from tests.logs import capturing_log
from worker.runtime import Runtime
from worker.tasks import invariants, proofs

Logged = list[MutableMapping[str, Any]]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Logged:
    log, events = capturing_log()
    for module in (invariants, proofs):
        monkeypatch.setattr(module, "log", log)
    return events


@pytest.fixture
async def april(office: Office) -> Json:
    """An issued bill with its files."""
    approvals: Json = {"preferences": {"approvals": []}}
    assert (await office.client.patch("/api/partners/acme", json=approvals)).status_code == 200
    await office.lead_in("2024-04")
    issued = await office.moved(await office.moved(await office.make(), "submit"), "issue")
    await office.work()
    return issued


async def prove(office: Office) -> int:
    return await proofs.prove_due(Runtime(office.settings, office.engine, office.policies))


async def by_hand(office: Office, *statements: str) -> None:
    """Write past every trigger, as a fault or a hand in the tables would."""
    async with transaction(office.engine) as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            assert (await connection.execute(statement)).split()[-1] != "0"


async def figures(office: Office) -> business_figures.Figures:
    async with transaction(office.engine, readonly=True) as connection:
        return await business_figures.read(connection)


async def test_b11_what_is_issued_is_proven_once_and_then_again_a_day_later(
    office: Office, april: Json, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    await by_hand(office, "UPDATE proofs SET since = since - interval '1 hour'")
    assert 3600 <= (await figures(office)).proof_oldest_s < 3700
    monkeypatch.setattr(proofs, "MOST_S", 0)
    assert await prove(office) == 0
    monkeypatch.undo()
    assert [await prove(office), await prove(office)] == [2, 0]
    now = await figures(office)
    assert (now.proof_differences, now.proof_oldest_s < 60) == (0, True)
    await by_hand(office, "UPDATE proofs SET due_at = due_at - interval '1 day'")
    assert await prove(office) == 2


async def test_b11_what_never_was_proven_comes_first_and_then_the_oldest_check(office: Office, april: Json) -> None:
    async with transaction(office.engine) as connection:
        await bill_proofs.expect_accounts(connection)
    longest_ago = (
        "UPDATE proofs SET is_checked = true, due_at = clock_timestamp() - interval '{} days' WHERE kind = '{}'"
    )
    for days_of_bill, days_of_account, kinds in ((1, 2, ["account", "bill"]), (2, 1, ["bill", "account"])):
        await by_hand(office, longest_ago.format(days_of_bill, "bill"), longest_ago.format(days_of_account, "account"))
        assert await begun(office) == kinds
    for kind, kinds in (("bill", ["bill", "account"]), ("account", ["account", "bill"])):
        others = [longest_ago.format(1 + (each != kind), each) for each in ("bill", "account")]
        await by_hand(office, *others, f"UPDATE proofs SET is_checked = false WHERE kind = '{kind}'")
        assert await begun(office) == kinds


async def begun(office: Office) -> list[str]:
    """What is proven next, until nothing is due."""
    kinds = []
    async with transaction(office.engine) as connection:
        while due := await bill_proofs.begin(connection):
            kinds.append(due.kind.value)
    return kinds


async def test_b11_whatever_differs_rings_the_alarm_until_it_is_right_again(
    office: Office, april: Json, logged: Logged
) -> None:
    async with transaction(office.engine) as connection:
        sha256 = await connection.fetchval("SELECT sha256 FROM bill_files WHERE format = 'json'")
    due, said = "UPDATE proofs SET due_at = clock_timestamp()", []
    for wrong, right in (
        ("UPDATE bills SET seal = digest", f"UPDATE bills SET seal = '{april['seal']}'"),
        (
            "UPDATE bills SET content = replace(content, '12.00', '11.00')",
            "UPDATE bills SET content = replace(content, '11.00', '12.00')",
        ),
        (
            "UPDATE bill_files SET sha256 = repeat('0', 64) WHERE format = 'json'",
            f"UPDATE bill_files SET sha256 = '{sha256}' WHERE format = 'json'",
        ),
        (
            "UPDATE billing_reports SET billed_minor = 900, gross_minor = 900",
            "UPDATE billing_reports SET billed_minor = 1000, gross_minor = 1000",
        ),
        ("UPDATE actions SET engagement_level = 'Low'", "UPDATE actions SET engagement_level = 'High'"),
        ("UPDATE account_rests SET rest_minor = 1100", "UPDATE account_rests SET rest_minor = 1200"),
        (
            "UPDATE account_entries SET amount_minor = 1100; UPDATE account_rests SET rest_minor = 1100",
            "UPDATE account_entries SET amount_minor = 1200; UPDATE account_rests SET rest_minor = 1200",
        ),
    ):
        await by_hand(office, *wrong.split("; "), due)
        await prove(office)
        found = [entry["difference"] for entry in logged if entry["event"] == "proof_differs"]
        assert (await figures(office)).proof_differences == len(found)
        said.append(found)
        await by_hand(office, *right.split("; "), due)
        logged.clear()
        await prove(office)
        assert (await figures(office)).proof_differences == 0
    assert said == [
        [f"seal is {april['digest']} on record and {april['seal']} by its own figures"],
        ["gross is 11.00 on record and 12.00 by its own figures"],
        ["the stored JSON file is not the one that was made"],
        [
            "The bill has leads of 10.00, and the final report billed 9.00.",
            "the issued bills less their notes ask for 10.00 before tax, and leads, usage and adjustments for 9.00",
        ],
        ["unit price of line 1 is 10.00 on the bill and 2.00 by the replay"],
        ["11.00 is kept as the rest of ACME-0001, and its amount less its uses is 12.00"],
        ["11.00 is booked for ACME-0001, which is about 12.00"],
    ]


async def test_b11_one_bill_that_cannot_be_proven_does_not_keep_others_waiting(
    office: Office, april: Json, logged: Logged
) -> None:
    await by_hand(office, "UPDATE bills SET content = '{}'")
    assert await prove(office) == 2
    assert (await figures(office)).proof_differences >= 1
    assert "proof_failed" in [entry["event"] for entry in logged]


async def test_b11_a_fault_of_the_environment_is_no_difference(office: Office, april: Json, logged: Logged) -> None:
    async with transaction(office.engine) as connection:
        await connection.execute("ALTER TABLE winners RENAME TO elsewhere")
    with pytest.raises(asyncpg.UndefinedTableError):
        await prove(office)
    async with transaction(office.engine) as connection:
        await connection.execute("ALTER TABLE elsewhere RENAME TO winners")
        assert await connection.fetchval("SELECT count(*) FROM proofs WHERE is_checked OR difference IS NOT NULL") == 0
    await by_hand(office, "UPDATE proofs SET due_at = clock_timestamp()")
    assert await prove(office) == 2


async def test_b10_a_live_bill_unlike_its_final_report_is_a_violation(office: Office, logged: Logged) -> None:
    await office.lead_in("2024-04")
    await office.make()
    runtime = Runtime(office.settings, office.engine, office.policies)
    assert await invariants.check_some(runtime) == 0
    await by_hand(office, "UPDATE bills SET content = replace(content, '\"10.00\"', '\"9.00\"')")
    assert await invariants.check_some(runtime) == 1
    [violation] = [entry for entry in logged if entry["event"] == "invariant_violated"]
    assert violation["difference"] == "The bill has leads of 9.00, and the final report billed 10.00."
