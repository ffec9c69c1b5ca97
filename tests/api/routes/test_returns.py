"""Returns through HTTP: made, asked for, decided (B8)."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import httpx
import pytest

from billing.roles import Role
from db.bills import returning
from db.core.unit_of_work import publish_nothing, unit_of_work
from tests.api.office import Office
from tests.api.world import Json, action, bill, check_problem, get, get_all, lead, make, row_counts
from tests.people import new_person, session_headers

APRIL = "2024-04"


@pytest.fixture
async def actions(office: Office) -> list[str]:
    """Two actions of lead-1 and one of lead-2, each billed at 10.00 in April."""
    both = [action(f"Click {day}", at=f"2024-04-{day}T00:00:00Z") for day in (10, 11)]
    other = action("Demo", at="2024-04-12T00:00:00Z")
    await bill(office.client, office.engine, office.policies, lead("lead-1", *both), lead("lead-2", other))
    return [
        each["action_id"]
        for name in ("lead-1", "lead-2")
        for each in (await get(office.client, f"/leads/{name}"))["actions"]
    ]


@pytest.fixture
async def pat(office: Office) -> dict[str, str]:
    """The headers of a person of acme."""
    person = await new_person(office.engine, "pat", Role.PARTNER, "acme")
    return {**await session_headers(office.engine, person), "Authorization": ""}


async def post(office: Office, body: Json | str, who: dict[str, str] | None = None) -> httpx.Response:
    """Post returns as JSON or as CSV."""
    if isinstance(body, str):
        return await office.client.post(
            "/api/returns", content=body, headers={"Content-Type": "text/csv", **(who or {})}
        )
    return await office.client.post("/api/returns", json=body, headers=who)


async def posted(office: Office, body: Json | str, who: dict[str, str] | None = None) -> list[Json]:
    response = await post(office, body, who)
    assert response.status_code == 200, response.text
    return cast(list[Json], response.json()["items"])


async def decided(office: Office, decision: str, *actions: str) -> list[Json]:
    body = {"actions": actions, "decision": decision, "reason": "We looked it up."}
    response = await office.client.post("/api/returns/decide", json=body)
    assert response.status_code == 200, response.text
    return cast(list[Json], response.json()["items"])


def states(results: Sequence[Json]) -> list[tuple[str, str | None]]:
    return [(each["state"], each["detail"]) for each in results]


async def audited(office: Office, what: str) -> list[Any]:
    return [(each["subject"], each["after"]) for each in await get_all(office.client, "/api/audit", what=what)]


async def returned(office: Office) -> str:
    """What is returned of April."""
    (report,) = (await get(office.client, "/billing/reports", partner="acme", period=APRIL))["items"]
    return cast(str, report["totals"]["returned"])


async def test_b08_finance_returns_all_actions_of_leads_once(office: Office, actions: list[str]) -> None:
    body = {"leads": ["lead-1"], "reason": {"reason": "Wrong contact", "text": "Moved away."}}
    assert await posted(office, body) == [{"action": each, "state": "returned", "detail": None} for each in actions[:2]]
    assert states(await posted(office, body)) == [("returned", "It was returned before.")] * 2
    assert await returned(office) == "20.00"
    kept = await get_all(office.client, "/api/returns", state="returned", partner="acme")
    assert [(each["action"], each["lead_id"], each["reason"]) for each in kept] == [
        (each, "lead-1", {"reason": "wrong_contact", "text": "Moved away."})
        for each in sorted(actions[:2], reverse=True)
    ]
    assert await audited(office, "action.returned") == [
        (each, {"reason": "wrong_contact: Moved away."}) for each in reversed(actions[:2])
    ]


async def test_b08_a_reason_that_is_not_listed_is_a_text_of_other(office: Office, actions: list[str]) -> None:
    await office.client.patch("/api/partners/acme", json={"return_reasons": ["No budget"]})
    reasons = [
        {"reason": "No-Budget"},
        {"reason": "bored", "text": "Said so."},
        "Not interested",
    ]
    for action_id, reason in zip(actions, reasons, strict=True):
        path = f"/api/actions/{action_id}/return"
        assert (await office.client.post(path, json={"reason": reason})).status_code == 200
    kept = {each["action"]: each["reason"] for each in await get_all(office.client, "/api/returns")}
    assert [kept[each] for each in actions] == [
        {"reason": "No budget", "text": None},
        {"reason": "other", "text": "bored: Said so."},
        {"reason": "not_interested", "text": None},
    ]


async def test_b08_a_partner_asks_and_finance_decides(office: Office, actions: list[str], pat: dict[str, str]) -> None:
    body = {"actions": actions, "reason": "invalid"}
    for _ in range(2):
        assert states(await posted(office, body, pat)) == [("asked", None)] * 3
    assert await returned(office) == "0.00"
    mine = (await office.client.get("/api/returns", params={"state": "asked"}, headers=pat)).json()["items"]
    assert {each["action"] for each in mine} == set(actions)
    assert {(each["amount"], each["asked_by"]) for each in mine} == {("10.00", None)}
    for _ in range(2):
        assert states(await decided(office, "accept", actions[0])) in (
            [("returned", None)],
            [("returned", "It was returned before.")],
        )
        assert states(await decided(office, "refuse", actions[1])) == [("refused", "We looked it up.")]
    assert await returned(office) == "10.00"
    assert states(await posted(office, body, pat)) == [
        ("returned", "It was returned before."),
        ("refused", "We looked it up."),
        ("asked", None),
    ]
    assert states(await decided(office, "refuse", actions[0])) == [
        ("returned", "It was returned; there is nothing left to refuse.")
    ]
    assert states(await decided(office, "accept", actions[1])) == [("returned", None)]  # on second thoughts
    said = {"reason": "We looked it up."}
    assert await audited(office, "return.accepted") == [(actions[1], said), (actions[0], said)]
    assert await audited(office, "return.refused") == [(actions[1], said)]
    assert len(await audited(office, "return.asked")) == 3
    refused = await office.client.post(
        "/api/returns/decide", json={"actions": actions, "decision": "accept", "reason": "x"}, headers=pat
    )
    check_problem(refused, 403)


async def test_b08_a_key_of_a_partner_only_asks_whichever_way(office: Office, actions: list[str]) -> None:
    wanted = {"name": "acme", "scopes": ["read", "bill"], "partner": "acme"}
    key = (await office.client.post("/api/keys", json=wanted)).json()["key"]
    bound = {"Authorization": f"Bearer {key}"}
    assert states(await posted(office, {"actions": actions[:1], "reason": "invalid"}, bound)) == [("asked", None)]
    path, body = f"/api/actions/{actions[1]}/return", {"reason": "invalid"}
    answer = await office.client.post(path, json=body, headers=bound)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "billed")
    assert {each["state"] for each in await get_all(office.client, "/api/returns")} == {"asked"}
    assert await returned(office) == "0.00"


async def test_b08_accepted_twice_and_released_between_it_stays_released(
    office: Office, actions: list[str], pat: dict[str, str]
) -> None:
    await posted(office, {"actions": actions[:1], "reason": "invalid"}, pat)
    await decided(office, "accept", actions[0])
    path = f"/api/actions/{actions[0]}/release"
    assert (await office.client.post(path, json={"reason": "A mistake."})).status_code == 200
    assert states(await decided(office, "accept", actions[0])) == [("returned", "It was returned before.")]
    assert await returned(office) == "0.00"
    assert states(await posted(office, {"actions": actions[:1], "reason": "fraud"}, pat)) == [("asked", None)]
    (asked,) = await get_all(office.client, "/api/returns", state="asked")
    assert asked["reason"]["reason"] == "fraud"


async def test_b08_of_an_acceptance_and_a_refusal_at_once_one_wins(
    office: Office, actions: list[str], pat: dict[str, str]
) -> None:
    await posted(office, {"actions": actions[:1], "reason": "invalid"}, pat)
    async with unit_of_work(office.engine, publish_nothing) as uow:
        accepted = await returning.accept(uow, office.policies, UUID(actions[0]), "Right.", datetime.now(UTC))
        refusing = asyncio.create_task(decided(office, "refuse", actions[0]))
        await asyncio.sleep(0.3)
    assert accepted.state == "returned"
    assert states(await refusing) == [("returned", "It was returned; there is nothing left to refuse.")]
    (kept,) = await get_all(office.client, "/api/returns")
    assert (kept["state"], kept["answer"]) == ("returned", "Right.")


async def test_b08_finance_that_returns_what_was_asked_has_decided_it(
    office: Office, actions: list[str], pat: dict[str, str]
) -> None:
    await posted(office, {"actions": actions[:1], "reason": "invalid"}, pat)
    await posted(office, {"actions": actions[:1], "reason": "fraud"})
    (kept,) = await get_all(office.client, "/api/returns")
    assert (kept["state"], kept["reason"]["reason"], kept["answer"]) == ("returned", "invalid", "fraud")
    assert (kept["asked_by"]["name"], kept["decided_by"]["kind"]) == ("pat", "key")


async def test_b08_what_the_bill_refuses_is_refused_and_the_rest_is_returned(
    office: Office, actions: list[str], pat: dict[str, str]
) -> None:
    """The bill of April is 30.00 for the three; a note over 15.00 leaves room for one return."""
    issued = await office.issued(await office.make(APRIL))
    noted = await office.client.post(
        "/api/credit-notes",
        json={"bill": issued["number"], "lines": [{"line": 1, "net": "15.00"}], "reason": "Agreed."},
    )
    await office.issued(noted.json() | {"period": "note"})
    asked = await posted(office, {"actions": actions, "reason": "invalid"}, pat)
    assert states(asked) == [("asked", None)] * 3
    accepted = await decided(office, "accept", *actions)
    assert [each["state"] for each in accepted] == ["returned", "asked", "asked"]
    assert "5.00 is left of line 1" in accepted[1]["detail"]
    await decided(office, "refuse", actions[1])
    (again,) = await decided(office, "accept", actions[1])
    assert (again["state"], again["detail"]) == ("refused", accepted[1]["detail"])
    results = await posted(office, {"leads": ["lead-1"], "reason": "invalid"})
    assert [each["state"] for each in results] == ["returned", "refused"]


async def test_b08_the_days_for_returns_count_until_it_was_asked(
    office: Office, actions: list[str], pat: dict[str, str]
) -> None:
    await office.client.patch("/api/partners/acme", json={"return_days": 0, "effective_period": APRIL})
    await office.issued(await office.make(APRIL))
    assert states(await posted(office, {"actions": actions[:2], "reason": "invalid"}, pat)) == [("asked", None)] * 2
    async with office.engine.begin() as connection:
        await connection.exec_driver_sql(
            f"UPDATE returns SET asked_at = '2030-01-01Z' WHERE action_id = '{actions[0]}'"
        )
    (late, intime) = await decided(office, "accept", *actions[:2])
    assert late["state"] == "asked"
    assert "could be returned until" in late["detail"]
    assert intime["state"] == "returned"


async def test_returns_from_a_csv_file(office: Office, actions: list[str]) -> None:
    file = "\ufeffLead ID;Reason;Text;Colour\nlead-2;invalid;;red\n\n;;;\nlead-1;not there;;blue\n"
    assert [each["action"] for each in await posted(office, file)] == [actions[2], *actions[:2]]
    kept = {each["action"]: each["reason"] for each in await get_all(office.client, "/api/returns")}
    assert kept[actions[2]] == {"reason": "invalid", "text": None}
    assert kept[actions[0]] == {"reason": "other", "text": "not there"}


async def test_a_file_with_a_bad_row_returns_nothing_and_names_every_bad_row(
    office: Office, actions: list[str]
) -> None:
    before = await row_counts(office.engine)
    file = f"action_id,lead_id,reason\n{actions[0]},,invalid\n,,invalid\n{actions[1]},lead-1,fraud\n{actions[2]},,\n"
    problem = check_problem(await post(office, file), 400)
    assert [(each["pointer"], each["detail"]) for each in problem["errors"]] == [
        ("line:3", "must name either an action_id or a lead_id"),
        ("line:4", "must name either an action_id or a lead_id"),
        ("line:5", "must have a reason"),
    ]
    problem = check_problem(await post(office, "lead_id,reason\nlead-1,invalid\nlead-9,invalid\n"), 404)
    assert problem["errors"] == [{"pointer": "line:3", "detail": "is no lead on record"}]
    too_many = "lead_id,reason\n" + "lead-1,invalid\n" * 501
    assert "more than the 500 rows" in check_problem(await post(office, too_many), 400)["detail"]
    response = await office.client.post(
        "/api/returns", content=b"lead_id,reason\n\xff,x", headers={"Content-Type": "text/csv"}
    )
    assert "not UTF-8" in check_problem(response, 400)["detail"]
    for body, pointer in (
        ({"reason": "invalid"}, "#"),
        ({"leads": ["lead-1"], "actions": actions, "reason": "invalid"}, "#"),
        ({"leads": ["lead-1"], "reason": {"text": "x"}}, "#/reason"),
        ({"leads": ["lead-1"], "reason": ""}, "#/reason"),
        ({"leads": [], "reason": "invalid"}, "#/leads"),
    ):
        assert check_problem(await post(office, body), 400)["errors"][0]["pointer"] == pointer
    assert await row_counts(office.engine) == before


async def test_a_partner_asks_for_its_own_only(office: Office, actions: list[str], pat: dict[str, str]) -> None:
    await make(office.client, "partners", external_id="rival", name="Rival")
    await make(office.client, "products", external_id="gadget", partner="rival", name="Gadget")
    await bill(office.client, office.engine, office.policies, lead("theirs", action("Call"), product_id="gadget"))
    (theirs,) = (await get(office.client, "/leads/theirs"))["actions"]
    for body in ({"leads": ["theirs"], "reason": "invalid"}, {"actions": [theirs["action_id"]], "reason": "invalid"}):
        check_problem(await post(office, body, pat), 404)
    await posted(office, {"leads": ["theirs"], "reason": "invalid"})
    assert (await office.client.get("/api/returns", headers=pat)).json()["items"] == []
    check_problem(await office.client.get("/api/returns", params={"partner": "rival"}, headers=pat), 404)
