"""The audit (P3): every change leaves a line in its transaction, and no line ever changes."""

from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.row_keys import customer_uuid, partner_uuid, product_uuid
from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.access.walk import BY_FORM, routes_of
from tests.api.world import Json, action, bill, check_problem, finish_tasks, get, lead, make, make_masters, row_counts
from tests.keys import new_key

AUDITED = {
    "process_monthly_billing": "billing_run.started",
    "process_shop_billing": "billing_run.started",
    "github_webhook": "billing_run.started",
    "retry_run_dead_letters": "billing_run.started",
    "create_partner": "partner.created",
    "change_partner": "partner.changed",
    "put_seller": "seller.changed",
    "enter_usage": "usage.entered",
    "create_product": "product.created",
    "change_product": "product.changed",
    "create_customer": "customer.created",
    "change_customer": "customer.changed",
    "erase_customer": "customer.erased",
    "create_rate": "rate.created",
    "change_rate": "rate.changed",
    "end_rate": "rate.ended",
    "hold_action": "action.held",
    "release_action": "action.released",
    "return_action": "action.returned",
    "correct_action": "action.corrected",
    "change_fraud_rule": "fraud_rule.changed",
    "screen_fraud": "fraud.screened",
    "decide_held": "action.released",
    "close_period": "period.closed",
    "close_periods": "period.closed",
    "reopen_period": "period.reopened",
    "rebuild_report": "report.rebuilt",
    "retry_quarantine": "quarantine.retried",
    "discard_quarantined": "quarantine.discarded",
    "retry_dead_letters": "dead_letters.retried",
    "pause_workers": "workers.paused",
    "resume_workers": "workers.resumed",
    "create_key": "key.created",
    "rotate_key": "key.rotated",
    "revoke_key": "key.revoked",
    "create_webhook": "webhook.created",
    "remove_webhook": "webhook.removed",
    "rotate_webhook": "webhook.rotated",
    "enable_webhook": "webhook.enabled",
    "test_webhook": "webhook.tested",
    "redeliver": "webhook.redelivered",
    "sign_up": "user.signed_up",
    "invite_user": "user.created",
    "change_user": "user.changed",
    "reset_user": "user.link_made",
    "sign_in": "session.started",
    "sign_out": "session.ended",
    "change_password": "user.password_changed",
    "forgot_password": "user.link_made",
    "reset_password": "user.password_changed",
    "make_bill": "bill.create",
    "submit_bill": "bill.submit",
    "recall_bill": "bill.recall",
    "refresh_bill": "bill.refresh",
    "revise_bill": "bill.revise",
    "issue_bill": "bill.issue",
    "void_bill": "bill.void",
    "approve_bill": "bill.approve",
    "withdraw_approval": "bill.withdraw",
    "reject_bill": "bill.reject",
    "move_bills": "bill.submit",
    "write_off_bill": "bill.written_off",
    "take_back_write_off": "bill.write_off_taken_back",
    "dispute_bill": "bill.disputed",
    "send_bill": "bill.sent",
    "retry_mails": "mails.retried",
    "start_reminders": "bill.reminded",
    "enter_adjustment": "adjustment.entered",
    "take_back_adjustment": "adjustment.taken_back",
    "create_credit_note": "credit_note.created",
    "post_returns": "return.asked",
    "decide_returns": "return.accepted",
    "enter_payment": "payment.entered",
    "allocate_payment": "payment.allocated",
    "reverse_payment": "payment.reversed",
    "enter_refund": "refund.entered",
    "reverse_refund": "refund.reversed",
    "enter_opening_item": "opening_item.entered",
    "reverse_opening_item": "opening_item.reversed",
}
"""What the audit says of each route that changes something."""

OF_MAIL = {"bill.sent", "bill.reminded", "mails.retried"}
"""They have a test of their own: test_bill_mail.py."""

OF_BILLS = {
    what
    for what in AUDITED.values()
    if what.partition(".")[0] in {"bill", "adjustment", "credit_note", "payment", "refund", "opening_item"}
} - OF_MAIL
"""They have a test of their own: test_bills.py."""

OF_RETURNS = {"return.asked", "return.accepted"}
"""And these: test_returns.py."""
OF_RUNS = {"billing_run.started"}
"""And this: test_billing_scheduler.py."""

NOT_AUDITED = {
    "post_leads",
    "import_here",
    "retry_stuck",
    "explain_difference",
    "replay_bill",
    "start_reconciliation",
    "reconcile_here",
    "start_what_if",
    "cancel_what_if",
    "start_what_if_here",
    "cancel_what_if_here",
}
"""Accepted leads are on record themselves; the others change nothing: one wakes the workers, the rest only look."""

SECRETS = ("Anna", "anna@example.com", "Eve", "eve@example.com", "anna", "eve")


async def test_every_route_that_changes_something_is_audited(app: FastAPI) -> None:
    changing = {route.name for route in routes_of(app) if route.method not in ("GET", "HEAD")}
    assert changing == AUDITED.keys() | NOT_AUDITED | BY_FORM.keys()
    assert set(BY_FORM.values()) <= set(AUDITED.values())


async def lines(client: httpx.AsyncClient, **query: Any) -> list[Json]:
    """The lines that a query finds, the oldest first."""
    found: list[Json] = (await get(client, "/api/audit", limit=500, **query))["items"]
    return found[::-1]


async def test_every_change_has_a_line_that_names_no_person(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> None:
    async def send(method: str, path: str, body: Json | None = None, status: int = 200) -> Json:
        response = await client.request(method, path, json=body, headers={"X-Request-ID": "audited"})
        assert response.status_code == status, response.text
        return response.json() if response.content else {}

    await make_masters(client)
    await bill(
        client,
        engine,
        policies,
        lead("1", action("Click", at="2024-04-01T00:00:00Z"), action("Demo", at="2024-04-02T00:00:00Z")),
    )
    click, demo = (each["action_id"] for each in (await get(client, "/leads/1"))["actions"])
    async with transaction(engine) as connection:
        await connection.execute(
            """
            INSERT INTO dead_letters (inbox_id, batch_id, received_at, lead_id, payload, error)
            SELECT id, batch_id, received_at, lead_ids[1], substr(payload, 2, length(payload) - 2), '' FROM inbox
            """
        )
    await bill(client, engine, policies, lead("2", product_id="nowhere"))
    (quarantined,) = (await get(client, "/api/quarantine"))["items"]
    first = len(await lines(client))
    await send("PATCH", "/api/partners/acme", {"cap": "50.00", "name": "Acme Inc"})
    await send("PUT", "/api/seller", {"name": "We"})
    usage = {"period": "2024-04", "source": "api", "key": "k", "units": 5}
    for replaced in ({}, {"units": 6, "replace": True}):
        await send("POST", "/api/usage", usage | {"partner": "acme"} | replaced, 201)
    await send("PATCH", "/api/products/widget", {"name": "Gadget"})
    await send("POST", "/api/customers", {"external_id": "eve", "name": "Eve", "email": "eve@example.com"}, 201)
    await send("PATCH", "/api/customers/eve", {"email": "eve.two@example.com"})
    await send("POST", "/api/customers/eve/erase", None, 202)
    rule = await send("POST", "/api/rate-cards", {"action_type": "Call", "amount": "3.00"}, 201)
    other = await send("PATCH", f"/api/rate-cards/{rule['rule_id']}", {"amount": "4.00"})
    await send("DELETE", f"/api/rate-cards/{other['rule_id']}")
    for verb in ("hold", "hold", "release", "return"):  # held twice, it is held once
        await send("POST", f"/api/actions/{click}/{verb}", {"reason": f"to {verb}"})
    await send("PATCH", "/api/fraud/rules/night_only", {"armed": True})
    await send("POST", "/api/fraud/screen", {"partner": "acme", "period": "2024-04"}, 202)
    await send("POST", f"/api/actions/{demo}/hold", {"reason": "odd"})
    await send("POST", "/api/held/decide", {"actions": [demo], "decision": "release", "reason": "a person"})
    right = await send("POST", f"/api/actions/{demo}/correct", {"reason": "low", "engagement_level": "Low"})
    await send("POST", "/api/partners/acme/periods/2024-04/close", None, 202)
    await finish_tasks(engine, policies, settings)
    await send("POST", "/api/partners/acme/periods/2024-04/reopen", None, 202)
    await send("POST", "/billing/reports/rebuild", {"partner": "acme", "period": "2024-04"}, 202)
    await send("POST", "/api/quarantine/retry", {}, 202)
    await send("POST", "/api/quarantine/dead-letters/retry", {})
    await send("POST", "/api/quarantine/discard", {"ids": [quarantined["id"]], "reason": "a test row"})
    await send("POST", "/api/workers/pause", {"reason": "new rates"})
    await send("POST", "/api/workers/resume")
    key = await send("POST", "/api/keys", {"name": "CRM", "scopes": ["read"]}, 201)
    new = await send("POST", f"/api/keys/{key['key_id']}/rotate", {}, 201)
    await send("DELETE", f"/api/keys/{new['key_id']}", None, 204)
    found = (await lines(client))[first:]
    acme, eve = str(partner_uuid("acme")), str(customer_uuid("eve"))
    rate = {"partner_id": None, "product_id": None, "lead_type": None, "engagement_level": None, "start": None}
    call = rate | {"action_type": "Call"}
    billed = {"standing": "counted", "outcome": "billed"}
    month = {"period": "2024-04"}
    night = {"threshold": 50, "limits": {"actions": 100, "percent": 95}}
    crm = {"name": "CRM", "scopes": ["read"]}
    unbound = {"partner_id": None}
    we = {"name": "We", "address": None, "tax_id": None, "iban": None, "small_amount_minor": None}
    assert [(each["what"], each["subject"], each["before"], each["after"]) for each in found] == [
        (
            "partner.changed",
            acme,
            {"name": "Acme", "cap_minor": 10000},
            {"name": "Acme Inc", "cap_minor": 5000, "from_period": None},
        ),
        ("seller.changed", "seller", None, we),
        ("usage.entered", acme, None, usage),
        ("usage.entered", acme, usage, usage | {"units": 6}),
        ("product.changed", str(product_uuid("widget")), {"name": "Widget"}, {"name": "Gadget"}),
        ("customer.created", eve, None, {"customer_id": eve}),
        ("customer.changed", eve, None, {"fields": ["email"]}),
        ("customer.erased", eve, None, None),
        ("rate.created", str(rule["rule_id"]), None, call | {"amount_minor": 300}),
        (
            "rate.changed",
            str(rule["rule_id"]),
            {"amount_minor": 300},
            {"amount_minor": 400, "rule_id": other["rule_id"]},
        ),
        ("rate.ended", str(other["rule_id"]), call | {"amount_minor": 400}, None),
        ("action.held", click, billed, {"reason": "to hold"}),
        ("action.released", click, {"standing": "held", "outcome": "held"}, {"reason": "to release"}),
        ("action.returned", click, billed, {"reason": "to return"}),
        ("fraud_rule.changed", "night_only", {"armed": False} | night, {"armed": True} | night),
        ("fraud.screened", acme, None, month),
        ("action.held", demo, billed, {"reason": "odd"}),
        ("action.released", demo, {"standing": "held", "outcome": "held"}, {"reason": "a person"}),
        ("action.corrected", demo, billed, {"reason": "low", "right_id": right["action_id"]}),
        ("period.closed", acme, None, month),
        ("period.reopened", acme, None, month),
        ("report.rebuilt", acme, None, month),
        ("quarantine.retried", "quarantine", None, {"ids": None}),
        ("dead_letters.retried", "dead_letters", None, {"ids": [1]}),
        ("quarantine.discarded", "quarantine", None, {"ids": [quarantined["id"]], "reason": "a test row"}),
        ("workers.paused", "workers", None, {"reason": "new rates"}),
        ("workers.resumed", "workers", None, None),
        ("key.created", key["key_id"], None, crm | unbound),
        ("key.rotated", key["key_id"], None, crm | {"new_id": new["key_id"], "overlap_s": 3600.0}),
        ("key.revoked", new["key_id"], crm, None),
    ]
    assert {(each["who"]["kind"], each["who"]["name"], each["request_id"]) for each in found} == {
        ("key", "tests", "audited")  # also of the month that a worker closed for it
    }
    assert {each["address"] for each in found if each["what"] != "period.closed"} == {"127.0.0.1"}
    every = {each["what"] for each in await lines(client)}
    # See test_users.py and test_webhooks.py.
    of_others = {what for what in AUDITED.values() if what.startswith(("user.", "session.", "webhook."))}
    assert every == set(AUDITED.values()) - of_others - OF_BILLS - OF_MAIL - OF_RETURNS - OF_RUNS
    async with transaction(engine, readonly=True) as connection:
        text = str(await connection.fetch("SELECT what, subject, before, after FROM audit"))
    assert [secret for secret in SECRETS if f"'{secret}'" in text or f'"{secret}"' in text] == []


async def test_what_is_refused_leaves_no_line(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await make_masters(client, start_date="2024-02-01")
    before = await row_counts(engine)
    for method, path, body, status in (
        ("POST", "/api/partners", {"external_id": "acme", "name": "Acme"}, 200),
        ("POST", "/api/customers", {"external_id": "anna", "name": "Anna", "email": "anna@example.com"}, 200),
        ("PATCH", "/api/partners/acme", {"name": "A", "end_date": "2024-01-01"}, 409),
        ("POST", "/api/partners/acme/periods/2024-04/reopen", None, 409),
        ("POST", "/api/workers/resume", None, 200),
    ):
        assert (await client.request(method, path, json=body)).status_code == status, path
    assert await row_counts(engine) == before


async def test_a_line_never_changes(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await make_masters(client)
    for statement in ("UPDATE audit SET what = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(asyncpg.CheckViolationError, match="the audit never changes"):
            async with transaction(engine) as connection:
                await connection.execute(statement)
    assert len(await lines(client, what="partner")) == 1


async def test_lines_are_found_by_who_what_and_when_and_paged(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await make_masters(client)
    made = await make(client, "keys", name="pricing", scopes=["pricing"])
    changed = await client.patch(
        "/api/partners/acme", json={"cap": None}, headers={"Authorization": f"Bearer {made['key']}"}
    )
    assert changed.status_code == 200
    by_name = await lines(client, who="pricing")
    assert [each["what"] for each in by_name] == ["partner.changed"]
    assert await lines(client, who=made["key_id"]) == by_name
    assert [each["what"] for each in await lines(client, what="partner")] == ["partner.created", "partner.changed"]
    assert await lines(client, what="partner.changed") == by_name
    assert await lines(client, what="part") == []
    at = by_name[0]["at"]
    assert await lines(client, **{"from": at, "what": "partner"}) == by_name
    assert [each["what"] for each in await lines(client, to=at, what="partner")] == ["partner.created"]
    everything = (await lines(client))[::-1]
    paged: list[Json] = []
    page: Json = {"next": ""}
    while page["next"] is not None:
        page = await get(client, "/api/audit", limit=2, **({"after": page["next"]} if page["next"] else {}))
        paged += page["items"]
    assert paged == everything
    for query in ("from=yesterday", "who=", "form=2024-01-01"):
        check_problem(await client.get(f"/api/audit?{query}"), 400)
    others = await new_key(engine, "others", ["ingest", "read", "bill", "pricing", "metrics"])
    check_problem(await client.get("/api/audit", headers={"Authorization": f"Bearer {others}"}), 403)
