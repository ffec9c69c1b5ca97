"""Reconciliations through HTTP: a partner's own list of a month against what is billed."""

from typing import cast

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.roles import Role
from db.core.engine import transaction
from db.core.settings import Settings
from db.ledger.policies import Policies
from db.reports import reconciliation
from tests.api.office import Office
from tests.api.world import Json, action, bill, check_problem, finish_tasks, get, get_all, lead, make, row_counts
from tests.people import new_person, session_headers

PATH = "/api/reconciliations?partner=acme&period=2024-04"


@pytest.fixture
async def april(office: Office) -> None:
    """Of anna 20.00 for lead a and 10.00 for b, of eve 10.00 for c; d is of May, and theirs of another partner."""
    await make(office.client, "customers", external_id="eve", name="Eve", email="eve@example.com")
    await make(office.client, "partners", external_id="rival", name="Rival")
    await make(office.client, "products", external_id="gadget", partner="rival", name="Gadget")
    late = "2024-04-10T23:30:00Z"
    await bill(
        office.client,
        office.engine,
        office.policies,
        lead("a", action("Call", at=late), action("Demo", at=late)),
        lead("b", action("Visit", at="2024-04-12T00:00:00Z")),
        lead("c", action("Click", at=late), customer_id="eve"),
        lead("d", action("Sign", at="2024-05-12T00:00:00Z")),
        lead("theirs", action("Click", at=late), product_id="gadget"),
    )


async def post(office: Office, text: str, who: dict[str, str] | None = None, path: str = PATH) -> httpx.Response:
    headers = {"Content-Type": "text/csv; charset=utf-8", **(who or {})}
    return await office.client.post(path, content=text, headers=headers)


async def reconciled(office: Office, text: str, who: dict[str, str] | None = None) -> Json:
    started = await post(office, text, who)
    assert started.status_code == 202, started.text
    path = f"/api/reconciliations/{started.json()['task_id']}"
    waiting = (await office.client.get(path, headers=who)).json()
    assert (waiting["state"], waiting["matched"], waiting["different"]) == ("waiting", None, None)
    await office.work()
    found = (await office.client.get(path, headers=who)).json()
    assert found["state"] == "done", found
    return cast(Json, found)


def parts(found: Json) -> dict[str, tuple[int, str]]:
    return {
        part: (found[part]["count"], found[part]["amount"])
        for part in ("matched", "missing_here", "missing_there", "different")
    }


def rows(found: Json, part: str, *names: str) -> list[tuple[object, ...]]:
    return [tuple(row[name] for name in names) for row in found[part]["rows"]]


@pytest.mark.usefixtures("april")
async def test_a_list_of_leads_in_the_partners_own_way_of_writing(office: Office) -> None:
    """Rows of one lead are added up; a lead of another month or another partner is missing here."""
    found = await reconciled(office, "Lead;Amount\na;12,00 €\na;8,00 €\nb;7,50\nd;10\ntheirs;1.000\n")
    assert (found["by"], found["partner"], found["period"], found["currency"]) == ("lead", "acme", "2024-04", "EUR")
    assert parts(found) == {
        "matched": (1, "20.00"),
        "missing_here": (2, "1010.00"),
        "missing_there": (1, "10.00"),
        "different": (1, "2.50"),
    }
    assert rows(found, "missing_here", "line", "lead_id", "theirs", "ours") == [
        (5, "d", "10.00", None),
        (6, "theirs", "1000.00", None),
    ]
    assert rows(found, "missing_there", "line", "lead_id", "theirs", "ours") == [(None, "c", None, "10.00")]
    assert rows(found, "different", "line", "lead_id", "theirs", "ours") == [(4, "b", "7.50", "10.00")]
    path = f"/api/reconciliations/{found['task_id']}/rows"
    assert await get_all(office.client, path, part="missing_here", limit=1) == found["missing_here"]["rows"]


@pytest.mark.usefixtures("april")
async def test_a_list_of_actions(office: Office) -> None:
    first, second = (each["action_id"] for each in (await get(office.client, "/leads/a"))["actions"])
    found = await reconciled(office, f"action_id,amount\n{first},10\n{second.upper()},9\nsomething,1\n")
    assert parts(found) == {
        "matched": (1, "10.00"),
        "missing_here": (1, "1.00"),
        "missing_there": (2, "20.00"),
        "different": (1, "1.00"),
    }
    assert rows(found, "different", "action", "lead_id") == [(second, "a")]


@pytest.mark.usefixtures("april")
async def test_our_own_report_matches_to_the_cent(office: Office) -> None:
    """With a duplicate, whose value is not billed, and the rows of totals."""
    again = lead("again", action("Visit", at="2024-04-13T00:00:00Z"))
    await bill(office.client, office.engine, office.policies, again)
    (report,) = (await get(office.client, "/billing/reports", partner="acme", period="2024-04"))["items"]
    wanted = {"format": "csv", "totals": "true"}
    file = (await office.client.get(f"/billing/reports/{report['report_id']}", params=wanted)).text
    found = parts(await reconciled(office, file))
    assert found["matched"] == (5, "40.00")
    assert [found[part] for part in ("missing_here", "missing_there", "different")] == [(0, "0.00")] * 3


async def test_a_list_of_people_by_day_in_the_partners_time_zone_keeps_no_e_mail(office: Office) -> None:
    await make(office.client, "partners", external_id="nord", name="Nord", timezone="Europe/Berlin")
    await make(office.client, "products", external_id="boat", partner="nord", name="Boat")
    night, noon = "2024-04-10T22:30:00Z", "2024-04-11T12:00:00Z"
    sent = lead(
        "n", action("Call", at=night), action("Demo", at=noon), action("Sign", "Low", at="2024-04-12T00:00:00Z")
    )
    await bill(office.client, office.engine, office.policies, sent | {"product_id": "boat"})
    listed = (" Anna@Example.com ,11.04.2024,20.00", "eve@example.com,10.04.2024,3.00", "no one,10.04.2024,3.00")
    text = "\n".join(("E-Mail,Day,Amount", *listed))
    started = await post(office, text, path=PATH.replace("acme", "nord"))
    async with transaction(office.engine, readonly=True) as connection:
        stored = await connection.fetch("SELECT * FROM reconciliation_entries")
        stored += await connection.fetch("SELECT * FROM tasks WHERE kind = 'reconcile'")
    assert len(stored) == 4
    assert "example.com" not in str(stored).lower()
    await office.work()
    found = await get(office.client, f"/api/reconciliations/{started.json()['task_id']}")
    assert (found["by"], parts(found)["matched"]) == ("person", (1, "20.00"))
    assert rows(found, "missing_here", "line", "customer", "day") == [(3, None, "2024-04-10"), (4, None, "2024-04-10")]
    assert rows(found, "missing_there", "customer", "day", "ours") == [("anna", "2024-04-12", "2.00")]


@pytest.mark.usefixtures("april")
async def test_p1_who_is_another_partners_is_not_told_apart_from_nobody(office: Office) -> None:
    await make(office.client, "customers", external_id="max", name="Max", email="max@example.com")
    at = "2024-04-10T12:00:00Z"
    theirs = lead("of-max", action("Click", at=at), customer_id="max", product_id="gadget")
    await bill(office.client, office.engine, office.policies, theirs)
    (found,) = (await get(office.client, "/leads/of-max"))["actions"]
    listed = await reconciled(office, "email,day,amount\nmax@example.com,2024-04-10,1\nno@example.com,2024-04-10,1\n")
    assert rows(listed, "missing_here", "customer") == [(None,), (None,)]
    for email in ("max@example.com", "no@example.com"):  # failed before: the two rows of somebody known were one
        twice = await reconciled(office, "email,day,amount\n" + f"{email},2024-04-10,1\n" * 2)
        assert rows(twice, "missing_here", "customer", "theirs") == [(None, "1.00"), (None, "1.00")]
    named = await reconciled(office, f"action_id,amount\n{found['action_id']},1\n")
    assert rows(named, "missing_here", "action", "lead_id", "customer") == [(None, None, None)]


@pytest.mark.usefixtures("april")
async def test_a_list_is_deleted_when_it_is_compared_and_the_result_stays(
    office: Office, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    """Also if the worker was killed right after that."""
    found = await reconciled(office, "lead_id,amount\na,20\nx,1\n")
    async with transaction(engine) as connection:
        left = await connection.fetch("SELECT part FROM reconciliation_entries ORDER BY part")
        await connection.execute("UPDATE tasks SET state = 'running', result = NULL, finished_at = NULL")
    assert [row["part"] for row in left] == ["missing_here", "missing_there", "missing_there"]
    await finish_tasks(engine, policies, settings)
    assert await get(office.client, f"/api/reconciliations/{found['task_id']}") == found
    async with transaction(engine) as connection:
        await connection.execute("DELETE FROM tasks")
        assert await connection.fetchval("SELECT count(*) FROM reconciliation_entries") == 0


@pytest.mark.usefixtures("april")
async def test_a_partner_compares_its_own_and_sees_nothing_of_others(office: Office) -> None:
    mine, others = [
        {
            **await session_headers(office.engine, await new_person(office.engine, name, Role.PARTNER, partner)),
            "Authorization": "",
        }
        for name, partner in (("pat", "acme"), ("riva", "rival"))
    ]
    found = await reconciled(office, "lead_id,amount\na,20\nb,10\nc,10\ntheirs,10\n", mine)
    assert parts(found)["matched"] == (3, "40.00")
    assert rows(found, "missing_here", "line", "lead_id", "customer") == [(5, "theirs", None)]
    for path in ("", "/rows"):
        check_problem(await office.client.get(f"/api/reconciliations/{found['task_id']}{path}", headers=others), 404)
    check_problem(await post(office, "lead_id,amount\na,20\n", others), 404)


@pytest.mark.usefixtures("april")
async def test_a_file_that_cannot_be_read_is_refused_with_its_rows(office: Office) -> None:
    problem = check_problem(await post(office, "lead_id,amount\na,20\nb,\nc,many\n"), 400)
    assert [each["pointer"] for each in problem["errors"]] == ["line:3", "line:4"]
    check_problem(await post(office, "lead_id,amount\na,1\n", path="/api/reconciliations?partner=acme&period=04"), 400)
    check_problem(await post(office, "lead_id,amount\na,1\n", path=PATH.replace("acme", "nobody")), 404)
    check_problem(await office.client.post(PATH, json=[]), 415)
    rebuilt = await office.client.post("/billing/reports/rebuild", json={"partner": "acme", "period": "2024-04"})
    check_problem(await office.client.get(f"/api/reconciliations/{rebuilt.json()['task_id']}"), 404)


@pytest.mark.usefixtures("april")
async def test_a_partner_has_so_many_lists_waiting_and_so_many_results(
    office: Office, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: a partner's own people filled the queue of closings, and the disk, with lists of 100,000 rows."""
    monkeypatch.setattr(reconciliation, "MOST_WAITING", 2)
    monkeypatch.setattr(reconciliation, "MOST_KEPT", 2)
    text = "lead_id,amount\na,20\nx,1\n"
    first, second = [(await post(office, text)).json()["task_id"] for _ in range(2)]
    before = await row_counts(engine)
    refused = check_problem(await post(office, text), 429)
    assert refused["detail"] == "2 lists of this partner wait to be compared; send another one after them."
    assert await row_counts(engine) == before
    assert (await post(office, text, path=PATH.replace("acme", "rival"))).status_code == 202
    await office.work()
    third = (await reconciled(office, text))["task_id"]
    statuses = [
        (await office.client.get(f"/api/reconciliations/{each}")).status_code for each in (first, second, third)
    ]
    assert statuses == [404, 200, 200]
