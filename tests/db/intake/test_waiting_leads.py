"""Looking for waiting leads: one look at a time for all who ask, each as of a moment after the question."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.leads import Lead, LeadAction
from db.core.engine import transaction
from db.core.row_keys import lead_uuid
from db.intake import inbox
from db.intake.inbox import Accepted
from db.intake.waiting_leads import MOST_SOUGHT, WaitingLeads

NOW = datetime(2024, 4, 2, tzinfo=UTC)


async def accept(engine: AsyncEngine, *names: str, customer: str = "ann") -> None:
    leads = [
        Lead(0, "", name, customer, "crm", "Referral", None, None, [LeadAction("Click", "Low", NOW)]) for name in names
    ]
    async with transaction(engine) as connection:
        await inbox.add(connection, [Accepted(uuid4(), "test", NOW, leads)])


class Looks:
    """Stands where the inbox is read: remembers what was sought, and waits before it reads if it is told to."""

    def __init__(self) -> None:
        self.sought: list[list[UUID]] = []
        self.began, self.may_read = asyncio.Event(), asyncio.Event()
        self.may_read.set()
        self._read = inbox.waiting_leads

    async def __call__(self, connection: asyncpg.Connection, lead_ids: Sequence[UUID]) -> dict[UUID, Lead]:
        self.sought.append(list(lead_ids))
        self.began.set()
        found = await self._read(connection, lead_ids)
        await self.may_read.wait()
        return found


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    looks = Looks()
    monkeypatch.setattr(inbox, "waiting_leads", looks)
    return looks


async def test_each_of_several_leads_is_found_as_it_came_first(engine: AsyncEngine) -> None:
    await accept(engine, "1", "2")
    await accept(engine, "1", customer="bob")
    one, two, other = lead_uuid("", "1"), lead_uuid("", "2"), lead_uuid("", "3")
    found = await WaitingLeads(engine).find([one, other, two])
    assert {row_id: (lead.external_id, lead.customer) for row_id, lead in found.items()} == {
        one: ("1", "ann"),
        two: ("2", "ann"),
    }


async def test_who_asks_during_a_look_shares_the_next_one_which_sees_what_came_meanwhile(
    engine: AsyncEngine, looks: Looks
) -> None:
    waiting = WaitingLeads(engine)
    looks.may_read.clear()
    first = asyncio.create_task(waiting.find([lead_uuid("", "0")]))
    await looks.began.wait()
    await accept(engine, *map(str, range(10)))
    others = [asyncio.create_task(waiting.find([lead_uuid("", str(number))])) for number in range(10)]
    await asyncio.sleep(0.05)
    assert len(looks.sought) == 1, "one look at a time"
    looks.may_read.set()
    assert await first == {}, "it came after the look had begun"
    assert [[lead.external_id for lead in found.values()] for found in await asyncio.gather(*others)] == [
        [str(number)] for number in range(10)
    ]
    assert [len(sought) for sought in looks.sought] == [1, 10]


async def test_a_look_seeks_so_many_leads_at_most(engine: AsyncEngine, looks: Looks) -> None:
    waiting = WaitingLeads(engine)
    looks.may_read.clear()
    asked = [asyncio.create_task(waiting.find([uuid4()])) for _ in range(2)]
    await looks.began.wait()
    asked += [asyncio.create_task(waiting.find([uuid4()])) for _ in range(MOST_SOUGHT + 5)]
    await asyncio.sleep(0.01)
    looks.may_read.set()
    assert await asyncio.gather(*asked) == [{}] * len(asked)
    assert [len(sought) for sought in looks.sought] == [2, MOST_SOUGHT, 5]


async def test_who_has_gone_is_not_looked_for_and_a_fault_is_told_to_those_who_asked_only(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, looks: Looks
) -> None:
    waiting = WaitingLeads(engine)
    looks.may_read.clear()
    first = asyncio.create_task(waiting.find([uuid4()]))
    await looks.began.wait()
    gone, stays = asyncio.create_task(waiting.find([uuid4()])), asyncio.create_task(waiting.find([uuid4()]))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0.01)
    looks.may_read.set()
    assert (await first, await stays) == ({}, {})
    assert [len(sought) for sought in looks.sought] == [1, 1]

    async def fail(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(inbox, "waiting_leads", fail)
    with pytest.raises(ConnectionError):
        await waiting.find([uuid4()])
    monkeypatch.setattr(inbox, "waiting_leads", looks)
    assert await waiting.find([uuid4()]) == {}
