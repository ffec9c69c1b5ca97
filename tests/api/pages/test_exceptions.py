"""Quarantine, held actions and dead letters as pages: many decided at once, and only by those who may."""

import re
from uuid import UUID

import pytest

from billing.roles import Role
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.intake.payloads import leads_from_payload, payload_from_lead
from tests.api.office import Office
from tests.api.pages.conftest import BrowserOf
from tests.api.world import action, bill, get, get_all, lead
from worker.tasks import runs

MARKUP = "<script>alert(1)</script>&\"'"


async def test_leads_in_quarantine_are_tried_again_or_discarded(browser_of: BrowserOf, office: Office) -> None:
    ada, sam = await browser_of("ada", Role.ADMIN), await browser_of("sam", Role.SALES)
    assert "No lead is in quarantine." in (await sam.get("/quarantine")).text
    unknown = [lead(f"{number}", action(), product_id=MARKUP, lead_type=MARKUP) for number in range(3)]
    await bill(office.client, office.engine, office.policies, *unknown)
    page = await ada.get("/quarantine?reason=unknown_product")
    assert MARKUP in page.text
    assert "<script>alert" not in page.response.text
    assert "No lead fits this." in (await sam.get("/quarantine?reason=conflict")).text
    rows = [each["id"] for each in await get_all(office.client, "/api/quarantine")]
    form = page.filled("/quarantine/retry")
    for path, fields in (
        ("/quarantine/retry", {}),
        ("/quarantine/discard", {"reason": "x"}),
        ("/quarantine/discard", {"row": rows[:2], "reason": ""}),
    ):
        refused = await ada.send(path, form | fields)
        assert refused.status == 400, path
        kept = refused.filled("/quarantine/retry")
        assert (kept.get("row", []), kept["only"]) == ([str(each) for each in fields.get("row", [])], "unknown_product")
    assert len(await get_all(office.client, "/api/quarantine")) == 3
    done = await ada.follow(await ada.send("/quarantine/discard", form | {"row": rows[:2], "reason": MARKUP}))
    assert "2 discarded." in done.text
    assert MARKUP in (await sam.get("/quarantine?state=discarded")).text
    body = {"external_id": "late", "partner": "acme", "name": "Late"}
    assert (await office.client.post("/api/products", json=body)).is_success
    assert "tried again now" in (await ada.follow(await ada.send("/quarantine/retry", form | {"all": "1"}))).text
    page = await sam.get("/quarantine")
    assert "/quarantine/retry" not in page.forms
    assert (await sam.send("/quarantine/retry", page.form("/account/sign-out") | {"all": "1"})).status == 403


@pytest.fixture
async def held(office: Office) -> list[str]:
    """Three actions of 10.00 on hold, of a partner in Berlin."""
    assert (await office.client.patch("/api/partners/acme", json={"timezone": "Europe/Berlin"})).is_success
    clicks = [action(f"Click {number}") for number in range(3)]
    await bill(office.client, office.engine, office.policies, lead("1", *clicks))
    ids = [each["action_id"] for each in (await get(office.client, "/leads/1"))["actions"]]
    for each in ids:
        assert (await office.client.post(f"/api/actions/{each}/hold", json={"reason": MARKUP})).is_success
    return ids


async def test_held_actions_are_released_and_confirmed_many_at_once(
    browser_of: BrowserOf, office: Office, held: list[str]
) -> None:
    fay = await browser_of("fay", Role.FINANCE)
    page = await fay.get("/held?partner=acme&period=2024-04")
    assert "30.00 EUR, 3 actions" in page.text
    assert page.text.count("1 Apr 2024, 12:00 CEST") == 3
    assert 'title="2024-04-01 10:00:00 UTC"' in page.response.text
    assert page.text.count(MARKUP) == 3
    assert "<script>alert" not in page.response.text
    form = page.filled("/held")
    for fields in (
        {"decision": "release", "reason": "ours"},
        {"decision": "release", "action": held[:2]},
        {"decision": "forget", "action": held[:2], "reason": "ours"},
    ):
        refused = await fay.send("/held", form | fields)
        assert refused.status == 400, fields
        kept = refused.filled("/held")
        assert sorted(kept.get("action", [])) == sorted(fields.get("action", []))
        assert (kept["partner"], kept["period"], kept["reason"]) == ("acme", "2024-04", fields.get("reason", ""))
    led = await fay.send("/held", form | {"decision": "release", "action": held[:2], "reason": "They are people."})
    assert led.response.headers["location"] == "/held?partner=acme&period=2024-04"
    released = (await fay.follow(led)).text
    assert "2 of 2 actions are released." in released
    assert ("10.00 EUR, 1 action " in released, "See the customer Acme " in released) == (True, True)
    again = await fay.send("/held", form | {"decision": "confirm", "action": held[1:], "reason": "A robot."})
    assert "1 of 2 actions are confirmed and returned." in (await fay.follow(again)).text
    assert "Nothing is held." in (await fay.get("/held")).text
    outcomes = {each["action_id"]: each["outcome"] for each in (await get(office.client, "/leads/1"))["actions"]}
    assert [outcomes[each] for each in held] == ["billed", "billed", "returned"]


async def test_sales_looks_at_what_is_held_and_decides_nothing(
    browser_of: BrowserOf, office: Office, held: list[str]
) -> None:
    sam, pat = await browser_of("sam", Role.SALES), await browser_of("pat", Role.PARTNER, "acme")
    page = await sam.get("/held")
    assert ("30.00 EUR, 3 actions" in page.text, "/held" in page.forms) == (True, False)
    forged = page.form("/account/sign-out") | {"action": held, "decision": "release", "reason": "mine"}
    assert (await sam.send("/held", forged)).status == 403
    assert len(await get_all(office.client, "/api/held")) == 3
    assert "No held action fits this." in (await sam.get("/held?rule=none")).text
    assert (await sam.get("/held?partner=nobody")).status == 404
    await bill(office.client, office.engine, office.policies, lead("2", action(), customer_id="stranger"))
    assert re.search(r"stranger widget 1 \d.* CES?T", (await sam.get("/quarantine")).text)
    async with transaction(office.engine) as connection:
        for arguments in ("{}", f'{{"partner_id": "{partner_uuid("acme")}"}}'):
            await connection.execute(
                """
                INSERT INTO tasks (id, kind, arguments, request_id, state, created_at, finished_at)
                VALUES (gen_random_uuid(), 'probe', $1, '', 'failed', '2024-04-01', '2024-04-01T10:00:00Z')
                """,
                arguments,
            )
    tasks = (await sam.get("/dead-letters/tasks")).text
    assert ("1 Apr 2024, 12:00 CEST" in tasks, "1 Apr 2024, 10:00 UTC" in tasks) == (True, True)
    for path in ("/held", "/dead-letters", "/dead-letters/tasks", "/month", "/what-if", "/settings/keys", "/partners"):
        assert (await pat.get(path)).status == 403, path


async def test_what_is_about_one_partner_has_its_time(
    browser_of: BrowserOf, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "TURN_S", 60.0)
    ada = await browser_of("ada", Role.ADMIN)
    await office.lead_in("2024-04")
    await office.make()
    assert (await office.client.patch("/api/partners/acme", json={"timezone": "Europe/Berlin"})).is_success
    hook = {"url": "https://hooks.example.com/x", "events": ["bill.issued"]}
    webhook = (await office.client.post("/api/webhooks", json=hook)).json()["webhook_id"]
    form = (await ada.get("/month?period=2024-04")).filled("/month/run") | {"dry_run": "1", "shop_ids": "acme"}
    alone = (await ada.send("/month/run", form)).response.headers["location"]
    await office.work()
    async with transaction(office.engine) as connection:
        batch_id = await connection.fetchval("SELECT batch_id FROM inbox")
        payload = payload_from_lead(leads_from_payload(await connection.fetchval("SELECT payload FROM inbox"))[0])
        for bill_id in (await connection.fetchval("SELECT id FROM bills"), None):
            mail = "INSERT INTO mails (id, kind, bill_id, subject, text) VALUES (gen_random_uuid(), $1, $2, 'x', 'x')"
            await connection.execute(mail, "bill" if bill_id else "notice", bill_id)
        for known, content in ((True, payload), (True, b"{}"), (False, payload)):
            await connection.execute(
                """
                INSERT INTO dead_letters (inbox_id, batch_id, lead_id, payload, received_at, error)
                VALUES (1, gen_random_uuid(), CASE WHEN $1 THEN gen_random_uuid() END, $2, now(), 'x')
                """,
                known,
                content,
            )
        for data in ('{"partner": "acme"}', '{"partner": "nobody"}', "{}"):
            await connection.execute(
                """
                WITH message AS (
                    INSERT INTO outgoing_messages (id, event, body)
                    VALUES (gen_random_uuid(), 'bill.issued', $1) RETURNING id
                )
                INSERT INTO deliveries (message_id, webhook_id, state, next_attempt_at)
                SELECT id, $2, 'delivered', NULL FROM message
                """,
                f'{{"type": "bill.issued", "data": {data}}}',
                UUID(webhook),
            )
    for path, own, other in (
        ("/settings/notifications", 1, 1),
        (f"/settings/webhooks/{webhook}", 1, 3),  # the webhook itself is about everybody
        ("/dead-letters", 2, 4),
        (f"/import/{batch_id}", 2, 0),
        (alone, 2, 0),
        ("/month", 1, 0),
        ("/dashboard", 1, 0),
    ):
        times = re.findall(r"<time[^>]*>[^<]* (CES?T|UTC)</time>", (await ada.get(path)).response.text)
        assert (len([each for each in times if each != "UTC"]), times.count("UTC")) == (own, other), path


async def test_dead_letters_are_decided_again(browser_of: BrowserOf, office: Office) -> None:
    ada, sam = await browser_of("ada", Role.ADMIN), await browser_of("sam", Role.SALES)
    assert "There is no dead letter." in (await sam.get("/dead-letters")).text
    async with transaction(office.engine) as connection:
        ids = [
            await connection.fetchval(
                """
                INSERT INTO dead_letters (inbox_id, batch_id, lead_id, payload, received_at, error)
                VALUES ($1, gen_random_uuid(), gen_random_uuid(), '{}', now(), $2) RETURNING id
                """,
                number,
                MARKUP,
            )
            for number in range(2)
        ]
    page = await ada.get("/dead-letters")
    assert page.text.count(MARKUP) == 2
    assert "<script>alert" not in page.response.text
    form = page.filled("/dead-letters/retry")
    refused = await ada.send("/dead-letters/retry", form)
    assert (refused.status, "Choose the leads first." in refused.text) == (400, True)
    done = await ada.follow(await ada.send("/dead-letters/retry", form | {"row": [str(ids[0])]}))
    assert "1 of 1 are decided again now." in done.text
    rest = await ada.follow(await ada.send("/dead-letters/retry", form | {"all": "1"}))
    assert ("1 of 1 are decided again now." in rest.text, "There is no dead letter." in rest.text) == (True, True)
    forged = (await sam.get("/dead-letters")).form("/account/sign-out") | {"all": "1"}
    assert (await sam.send("/dead-letters/retry", forged)).status == 403
    assert "No background task failed." in (await sam.get("/dead-letters/tasks")).text
