"""Webhooks over HTTP: made by Admins, told of what happens to bills and reports, audited."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.roles import Role
from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.office import SELLER, Office
from tests.api.world import Json, check_problem, get, make, make_masters, row_counts
from tests.receiver import Receiver, receiving
from worker.runtime import Runtime
from worker.tasks import webhooks as tasks

EVERY = ["lead.quarantined", "report.ready", "run.finished"] + [
    f"bill.{state}" for state in ("pending", "approved", "rejected", "issued", "paid")
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_networks": "127.0.0.0/8"})


@pytest.fixture
async def office(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings) -> Office:
    await make_masters(client)
    assert (await client.put("/api/seller", json=SELLER)).status_code == 200
    return Office(client, engine, policies, settings)


async def send(office: Office) -> None:
    """Send what waits, as a worker does."""
    runtime = Runtime(office.settings, office.engine, office.policies)
    while await tasks.send_due(runtime):
        pass


def told(receiver: Receiver) -> list[Any]:
    """Type, kind and state of what came, in the order of what happened."""
    came = sorted((each.json for each in receiver.received), key=lambda message: str(message["timestamp"]))
    return [(each["type"], each["data"].get("kind"), each["data"].get("state")) for each in came]


async def test_the_life_of_a_bill_is_told_and_a_partner_hears_of_what_is_issued(office: Office) -> None:
    client = office.client
    async with receiving() as every, receiving() as acmes, receiving() as others:
        await make(client, "webhooks", url=every.url, events=EVERY)
        issued = ["report.ready", "bill.issued", "bill.paid"]
        await make(client, "webhooks", url=acmes.url, events=issued, partner="acme")
        await make(client, "partners", external_id="other", name="Other")
        await make(client, "webhooks", url=others.url, events=issued, partner="other")
        await office.lead_in("2024-04")
        draft = await office.make()
        sales = await office.person("sally", Role.SALES)
        rejected = await office.moved(await office.moved(draft, "submit"), "reject", sales, reason="wrong")
        revised = await office.moved(rejected, "revise")
        pending = await office.moved(await office.moved(revised, "refresh"), "submit")
        approved = await office.moved(pending, "approve", sales)
        bill = await office.moved(approved, "issue")
        payment = {"external_id": "p-1", "partner": "acme", "paid_on": "2024-05-10", "reference": "x"}
        await make(client, "payments", **payment, amount="4.00")
        await make(client, "payments", **payment | {"external_id": "p-2"}, amount="6.00")
        await send(office)
        assert told(every) == [
            ("report.ready", None, None),
            ("bill.pending", "bill", "pending"),
            ("bill.rejected", "bill", "rejected"),
            ("bill.pending", "bill", "pending"),
            ("bill.approved", "bill", "approved"),
            ("bill.issued", "bill", "issued"),
            ("bill.paid", "bill", "paid"),
        ]
        assert told(acmes) == [
            ("report.ready", None, None),
            ("bill.issued", "bill", "issued"),
            ("bill.paid", "bill", "paid"),
        ]
        assert others.connections == 0
        (message,) = [each.json for each in every.received if each.json["type"] == "bill.issued"]
        assert message["data"] == {
            "bill_id": bill["bill_id"],
            "kind": "bill",
            "corrects": None,
            "number": "ACME-0001",
            "partner": "acme",
            "partner_name": "Acme",
            "period": "2024-04",
            "currency": "EUR",
            "state": "issued",
            "digest": bill["digest"],
            "gross": "10.00",
            "total": "10.00",
            "open": "10.00",
            "issued_on": bill["issued_on"],
            "due_on": bill["due_on"],
        }
        (report,) = [each.json["data"] for each in acmes.received if each.json["type"] == "report.ready"]
        assert (report["partner"], report["period"], report["net"], report["version"]) == (
            "acme",
            "2024-04",
            "10.00",
            1,
        )


async def test_what_a_note_cancels_is_not_told_as_paid(office: Office) -> None:
    async with receiving() as every:
        await make(office.client, "webhooks", url=every.url, events=["bill.issued", "bill.paid"])
        await office.lead_in("2024-04")
        bill = await office.issued(await office.make())
        note = await make(office.client, "credit-notes", bill=bill["bill_id"], cancel=True, reason="wrong")
        checker = await office.person("checker", Role.SALES)
        pending = await office.moved(note, "submit")
        await office.moved(await office.moved(pending, "approve", checker), "issue")
        await send(office)
        assert told(every) == [("bill.issued", "bill", "issued"), ("bill.issued", "credit_note", "issued")]


async def test_a_webhook_is_made_listed_and_removed_and_all_of_it_is_audited(office: Office) -> None:
    client = office.client
    async with receiving() as receiver:
        made = await make(client, "webhooks", url=receiver.url, events=["bill.paid", "bill.issued", "bill.paid"])
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        assert made == {
            "webhook_id": made["webhook_id"],
            "url": receiver.url,
            "events": ["bill.issued", "bill.paid"],
            "partner": None,
            "created_at": made["created_at"],
            "failures": 0,
            "failing_since": None,
            "disabled_at": None,
        }
        assert await get(client, "/api/webhooks") == {"items": [made], "next": None}
        path = f"/api/webhooks/{made['webhook_id']}"
        rotated = await client.post(f"{path}/rotate", json={"overlap_s": 60})
        assert rotated.status_code == 200
        assert rotated.json()["secret"] not in ("", secret)
        tested = await client.post(f"{path}/test")
        assert tested.status_code == 202
        await send(office)
        assert receiver.received[0].json["type"] == "webhook.test"
        (delivery,) = (await get(client, tested.json()["deliveries_url"], state="delivered"))["items"]
        assert [attempt["answer"] for attempt in delivery["attempts"]] == ["fine"]
        assert (await get(client, f"{path}/deliveries", state="failed"))["items"] == []
        again = f"{path}/deliveries/{delivery['delivery_id']}/redeliver"
        assert (await client.post(again)).status_code == 202
        await send(office)
        assert len(receiver.received) == 2
        assert (await client.post(f"{path}/enable")).json() == made
        assert (await client.delete(path)).status_code == 204
        for method, gone in (("DELETE", ""), ("POST", "/enable"), ("POST", "/test"), ("GET", "/deliveries")):
            check_problem(await client.request(method, f"{path}{gone}"), 404)
        check_problem(await client.post(f"{path}/rotate", json={}), 404)
        check_problem(await client.post(again), 404)
    lines = (await get(client, "/api/audit", what="webhook"))["items"][::-1]
    assert [(line["what"], line["subject"]) for line in lines] == [
        (f"webhook.{what}", made["webhook_id"])
        for what in ("created", "rotated", "tested", "redelivered", "enabled", "removed")
    ]
    assert lines[0]["after"] == {
        "host": "127.0.0.1",
        "events": ["bill.paid", "bill.issued", "bill.paid"],
        "partner_id": None,
    }
    assert secret not in str(lines)


_REFUSED: list[tuple[Json, int, str]] = [
    ({"url": "https://10.0.0.1"}, 400, "no public address"),
    ({"url": "ftp://example.com"}, 400, "must begin with https://"),
    ({"events": ["bill.lost"]}, 400, "events"),
    ({"events": []}, 400, "events"),
    ({"secret": "mine"}, 400, "secret"),
    ({"partner": "nobody"}, 404, "There is no partner"),
    ({"partner": "acme", "events": ["bill.pending"]}, 409, "and not bill.pending"),
]


async def test_what_is_refused_writes_nothing(office: Office, subtests: pytest.Subtests) -> None:
    before = await row_counts(office.engine)
    for fields, status, says in _REFUSED:
        with subtests.test(says):
            body = {"url": "https://example.com/hook", "events": ["bill.paid"]} | fields
            answer = await office.client.post("/api/webhooks", json=body)
            check_problem(answer, status)
            assert says in answer.text
            assert await row_counts(office.engine) == before


async def test_an_unknown_webhook_is_404(client: httpx.AsyncClient) -> None:
    check_problem(await client.get(f"/api/webhooks/{uuid4()}/deliveries"), 404)
