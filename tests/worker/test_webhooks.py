"""Sending to webhooks: what is written is delivered, tried again by the schedule, and holds nobody up."""

import asyncio
import queue
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook

from billing.webhooks.events import Event
from db.core import locks
from db.core.engine import autocommit, transaction
from db.core.settings import Settings
from db.core.unit_of_work import Message
from db.outgoing import deliveries, events, webhooks
from db.outgoing.deliveries import Logged
from db.tasks.notifications import SEND_TO_WEBHOOKS
from tests.builders import lead
from tests.logs import capturing_log
from tests.receiver import FAULT, Receiver, receiving
from tests.world import World
from worker.runtime import Runtime
from worker.tasks import retention
from worker.tasks import webhooks as tasks


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_networks": "127.0.0.0/8", "webhook_key": "beside the database"})


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[MutableMapping[str, Any]]:
    captured, found = capturing_log()
    monkeypatch.setattr(tasks, "log", captured)
    return found


async def webhook(runtime: Runtime, receiver: Receiver, *told: Event, partner: UUID | None = None) -> tuple[UUID, str]:
    """A webhook of all events, or some; its id and its secret."""
    async with runtime.unit_of_work() as uow:
        return await webhooks.create(uow, runtime.settings, receiver.url, told or list(Event), partner)


async def tell(runtime: Runtime, event: Event = Event.RUN_FINISHED, count: int = 1, **data: Any) -> None:
    async with transaction(runtime.engine) as connection:
        for _ in range(count):
            await events.tell(connection, event, data)


async def logged(runtime: Runtime, webhook_id: UUID) -> list[Logged]:
    async with transaction(runtime.engine, readonly=True) as connection:
        return (await deliveries.page(connection, webhook_id, state=None, before=None, limit=500))[::-1]


async def let_pass(runtime: Runtime, time: timedelta) -> None:
    """Let so much time have passed for what waits."""
    async with transaction(runtime.engine) as connection:
        await connection.execute("UPDATE deliveries SET next_attempt_at = next_attempt_at - $1::interval", time)
        await connection.execute(
            """
            UPDATE webhooks
            SET rests_until = rests_until - $1::interval, failing_since = failing_since - $1::interval
            """,
            time,
        )


async def audited(runtime: Runtime) -> list[Any]:
    async with transaction(runtime.engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT what, after FROM audit WHERE what LIKE 'webhook.%' ORDER BY id")
        return [tuple(row) for row in rows]


async def test_an_event_is_told_once_to_who_asked_for_it_and_signed(runtime: Runtime, log: list[Any]) -> None:
    async with receiving() as receiver, receiving() as other:
        webhook_id, secret = await webhook(runtime, receiver)
        await webhook(runtime, other, Event.BILL_PAID)
        await tell(runtime, run_id="r-1")
        assert not await tasks.send_due(runtime)
        assert not await tasks.send_due(runtime)
        (received,) = receiver.received
        assert other.connections == 0
    Webhook(secret).verify(received.body, received.headers)
    (delivery,) = await logged(runtime, webhook_id)
    assert received.json == delivery.body
    assert (received.json["type"], received.json["data"]) == ("run.finished", {"run_id": "r-1"})
    assert received.headers["webhook-id"] == str(delivery.message_id)
    assert (delivery.state, delivery.next_attempt_at) == ("delivered", None)
    (attempt,) = delivery.attempts
    assert (attempt.status, attempt.answer, attempt.error) == (200, "fine", None)
    assert [each["event"] for each in log] == ["webhook_delivered"]
    assert secret not in str(log)
    assert receiver.url not in str(log)


async def test_what_is_rolled_back_is_not_told(runtime: Runtime) -> None:
    async with receiving() as receiver:
        await webhook(runtime, receiver)
        with suppress(ZeroDivisionError):
            async with transaction(runtime.engine) as connection:
                await events.tell(connection, Event.RUN_FINISHED, {})
                raise ZeroDivisionError
        await tasks.send_due(runtime)
        assert receiver.connections == 0


async def test_the_sweep_announces_what_is_due(runtime: Runtime, sent: "queue.Queue[Message]") -> None:
    async with receiving() as receiver:
        await webhook(runtime, receiver)
        await tasks.announce_due_deliveries(runtime)
        assert sent.empty()
        await tell(runtime)
        await tasks.announce_due_deliveries(runtime)
        assert sent.get_nowait() == Message(SEND_TO_WEBHOOKS)


async def test_what_fails_is_tried_by_the_schedule_with_the_same_id_and_given_up(runtime: Runtime) -> None:
    async with receiving() as receiver:
        receiver.answer = FAULT
        webhook_id, secret = await webhook(runtime, receiver)
        await tell(runtime)
        for hours in range(10):
            await tasks.send_due(runtime)
            assert len(receiver.received) == hours + 1
            await tasks.send_due(runtime)  # not due yet
            await let_pass(runtime, timedelta(hours=24))
            if hours == 3:  # another receiver would have been disabled by now
                async with runtime.unit_of_work() as uow:
                    await webhooks.enable(uow, webhook_id)
        await tasks.send_due(runtime)
        assert len(receiver.received) == 10
    (delivery,) = await logged(runtime, webhook_id)
    assert (delivery.state, len(delivery.attempts)) == ("failed", 10)
    assert {(each.status, each.answer) for each in delivery.attempts} == {(500, "broke")}
    assert {each.headers["webhook-id"] for each in receiver.received} == {str(delivery.message_id)}
    Webhook(secret).verify(receiver.received[-1].body, receiver.received[-1].headers)


async def test_a_person_has_it_sent_again_with_the_same_id(runtime: Runtime) -> None:
    async with receiving() as receiver:
        webhook_id, _ = await webhook(runtime, receiver)
        await tell(runtime)
        await tasks.send_due(runtime)
        (delivery,) = await logged(runtime, webhook_id)
        async with runtime.unit_of_work() as uow:
            assert await deliveries.redeliver(uow, webhook_id, delivery.id)
            assert not await deliveries.redeliver(uow, UUID(int=1), delivery.id)
        await tasks.send_due(runtime)
        assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    assert [len(each.attempts) for each in await logged(runtime, webhook_id)] == [2]
    assert len(receiver.received) == 2


async def test_a_slow_webhook_holds_up_no_other_and_gets_a_few_at_a_time(runtime: Runtime) -> None:
    async with receiving() as slow, receiving() as quick:
        slow.gate.clear()
        await webhook(runtime, slow)
        await webhook(runtime, quick)
        await tell(runtime, count=12)
        sending = asyncio.create_task(tasks.send_due(runtime))
        while len(quick.received) < 12:
            assert not sending.done()
            await asyncio.sleep(0.01)
        slow.gate.set()
        await sending
        assert 1 <= quick.most_at_once <= tasks.MOST_PER_WEBHOOK
        assert slow.most_at_once == tasks.MOST_PER_WEBHOOK


async def test_one_process_sends_at_a_time(runtime: Runtime) -> None:
    async with receiving() as receiver, autocommit(runtime.engine) as other:
        await webhook(runtime, receiver)
        await tell(runtime)
        assert await locks.try_lock_deliveries(other)
        assert not await tasks.send_due(runtime)
        assert receiver.connections == 0
        await locks.unlock_deliveries(other)
        await tasks.send_due(runtime)
        assert receiver.connections == 1


async def test_a_webhook_that_fails_rests_and_a_success_ends_that(runtime: Runtime) -> None:
    async with receiving() as receiver:
        receiver.answers = [FAULT] * 4
        await webhook(runtime, receiver)
        await tell(runtime, count=5)
        await tasks.send_due(runtime)
        assert len(receiver.received) == 4  # the fifth one waits for the webhook
        async with transaction(runtime.engine, readonly=True) as connection:
            (stored,) = await webhooks.list_all(connection)
            rests_s = await connection.fetchval("SELECT extract(epoch FROM rests_until - failing_since) FROM webhooks")
        assert stored.failures == 4
        assert 16 <= rests_s < 20
        await let_pass(runtime, timedelta(hours=1))
        await tasks.send_due(runtime)
        assert len(receiver.received) == 9
        async with transaction(runtime.engine, readonly=True) as connection:
            (stored,) = await webhooks.list_all(connection)
        assert (stored.failures, stored.failing_since, stored.disabled_at) == (0, None, None)


@pytest.mark.parametrize("gone", [True, False])
async def test_after_five_days_of_failures_or_a_410_it_is_disabled_and_audited(runtime: Runtime, gone: bool) -> None:
    async with receiving() as receiver:
        receiver.answer = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n" if gone else FAULT
        webhook_id, _ = await webhook(runtime, receiver)
        await tell(runtime)
        await tasks.send_due(runtime)
        if not gone:
            assert [what for what, _ in await audited(runtime)] == ["webhook.created"]
            await let_pass(runtime, timedelta(days=5))
            await tasks.send_due(runtime)
        *_, (what, facts) = await audited(runtime)
        assert (what, facts["status"]) == ("webhook.disabled", 410 if gone else 500)
        await tell(runtime)  # nobody hears of it
        await let_pass(runtime, timedelta(days=5))
        before = len(receiver.received)
        await tasks.send_due(runtime)
        assert len(receiver.received) == before
        receiver.answer = b"HTTP/1.1 204 Fine\r\n\r\n"
        async with runtime.unit_of_work() as uow:
            assert await webhooks.enable(uow, webhook_id)
        await tasks.send_due(runtime)
        assert len(receiver.received) == before + 1  # what waited goes
    assert [each.state for each in await logged(runtime, webhook_id)] == ["delivered"]


async def test_a_rotated_secret_overlaps(runtime: Runtime) -> None:
    async with receiving() as receiver:
        webhook_id, old = await webhook(runtime, receiver)
        async with runtime.unit_of_work() as uow:
            new = await webhooks.rotate(uow, runtime.settings, webhook_id, timedelta(hours=1))
        assert new
        await tell(runtime)
        await tasks.send_due(runtime)
        async with transaction(runtime.engine) as connection:
            await connection.execute("UPDATE webhooks SET former_until = clock_timestamp()")
            stored = str(await connection.fetch("SELECT * FROM webhooks"))
        await tell(runtime)
        await tasks.send_due(runtime)
        first, second = receiver.received
    for secret in (old, new):
        Webhook(secret).verify(first.body, first.headers)
    assert [
        each.count("v1,") for each in (first.headers["webhook-signature"], second.headers["webhook-signature"])
    ] == [
        2,
        1,
    ]
    Webhook(new).verify(second.body, second.headers)
    assert new.removeprefix("whsec_") not in stored
    assert webhooks.secret_from_seed(b"seed", "one") != webhooks.secret_from_seed(b"seed", "two")


async def test_slack_and_notifications_come_from_the_settings_and_many_bills_are_one_message(runtime: Runtime) -> None:
    async with receiving() as slack, receiving() as notified:
        named = {"slack_webhook_url": slack.url, "billing_notification_webhook_url": notified.url}
        runtime.settings = runtime.settings.model_copy(update={**named, "webhook_networks": ""})
        for _ in range(2):
            await tasks.announce_due_deliveries(runtime)
        bill = {"kind": "bill", "bill_id": "b", "partner_name": "Acme", "period": "2024-04", "gross": "1.00"}
        await tell(runtime, Event.BILL_PENDING, count=3, **bill, currency="EUR")
        await tasks.send_due(runtime)
        assert slack.connections == 0  # others may follow
        await let_pass(runtime, timedelta(seconds=31))
        await tell(runtime, Event.RUN_FINISHED, processed=3)
        await tasks.send_due(runtime)
        (told,), (run,) = slack.received, notified.received
        assert told.json["text"].startswith(
            "*3 bills wait for approval*\n• <http://127.0.0.1:8000/bills/b|Acme, bill of"
        )
        assert told.json["text"].endswith("\n*A billing run has finished*: 3 processed")
        assert (run.json["type"], run.json["data"]) == ("run.finished", {"processed": 3})
        assert "webhook-signature" not in run.headers
        runtime.settings = runtime.settings.model_copy(update=dict.fromkeys(named, ""))
        await tasks.announce_due_deliveries(runtime)
        await tell(runtime)
    async with transaction(runtime.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM webhooks") == 0
        assert await connection.fetchval("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == 0
        assert await connection.fetchval("SELECT count(*) FROM deliveries WHERE state = 'delivered'") == 5


async def test_lead_quarantined_is_told_once_by_partner_and_names_nobody(runtime: Runtime, world: World) -> None:
    async with receiving() as everything, receiving() as acmes:
        _, _ = await webhook(runtime, everything, Event.LEAD_QUARANTINED)
        await webhook(runtime, acmes, Event.LEAD_QUARANTINED, partner=world.partners["acme"])
        at = ("Click", "High", "2024-04-10T09:00:00Z")
        unknown = lead("no-product", at, customer="ann", product="unknown")
        stranger = lead("no-customer", at, customer="nobody@example.com", product="crm")
        await world.send(lead("fine", at, customer="ann", product="crm"), unknown, stranger)
        for _ in range(2):  # sent again and looked at again, it is in quarantine already
            await world.send(unknown, stranger)
        await tasks.send_due(runtime)
        told = sorted(
            (each.json["data"]["leads"] for each in everything.received), key=lambda leads: leads[0]["lead_id"]
        )
        assert [[(one["lead_id"], one["reason"], one["product"]) for one in leads] for leads in told] == [
            [("no-customer", "unknown_customer", "crm")],
            [("no-product", "unknown_product", "unknown")],
        ]
        (own,) = acmes.received
        assert [one["lead_id"] for one in own.json["data"]["leads"]] == ["no-customer"]
        assert "nobody@example.com" not in "".join(each.body for each in everything.received)
        assert set(own.json["data"]["leads"][0]) == {
            *("lead_id", "source", "customer_id", "product", "lead_type", "reason", "batch_id", "received_at")
        }


async def test_many_leads_are_some_messages(runtime: Runtime, world: World) -> None:
    async with receiving() as receiver:
        await webhook(runtime, receiver, Event.LEAD_QUARANTINED)
        await world.send(*(lead(f"lead-{n}", customer="ann", product="unknown") for n in range(250)))
        async with transaction(runtime.engine) as connection:
            sizes = await connection.fetch(
                "SELECT json_array_length(body::json->'data'->'leads') AS n FROM outgoing_messages ORDER BY 1 DESC"
            )
    assert [row["n"] for row in sizes] == [100, 100, 50]


async def test_retention_deletes_old_messages_with_their_log(runtime: Runtime) -> None:
    async with receiving() as receiver:
        webhook_id, _ = await webhook(runtime, receiver)
        await tell(runtime, count=2)
        await tasks.send_due(runtime)
        async with transaction(runtime.engine) as connection:
            await connection.execute(
                "UPDATE outgoing_messages SET created_at = created_at - interval '91 days'"
                " WHERE id = (SELECT message_id FROM deliveries ORDER BY id LIMIT 1)"
            )
        await retention.delete_old(runtime)
    assert len(await logged(runtime, webhook_id)) == 1
    async with transaction(runtime.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM delivery_attempts") == 1


async def test_a_webhook_that_is_removed_meanwhile_hears_nothing_and_harms_nothing(runtime: Runtime) -> None:
    async with receiving() as receiver:
        webhook_id, _ = await webhook(runtime, receiver)
        async with transaction(runtime.engine) as connection:
            found = await events.subscribers(connection, Event.RUN_FINISHED)
            async with runtime.unit_of_work() as uow:
                assert await webhooks.remove(uow, webhook_id)
            await events.write(connection, Event.RUN_FINISHED, [({}, None)], found)
        await tasks.send_due(runtime)
        await asyncio.sleep(0)
        assert receiver.connections == 0
