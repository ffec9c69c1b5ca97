"""B1 on two connections: a month has one live bill by the lock of bills, and by the unique key if it is forgotten."""

import asyncio
from functools import partial
from random import Random

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.bills.states import State
from db.bills import creation, records
from db.core import locks
from db.core.actor import SYSTEM
from db.core.engine import transaction
from db.ledger.policies import Policies
from tests.db.bills.test_b05_random_moves import MONTHS, Company, company


@pytest.fixture
async def of(engine: AsyncEngine, policies: Policies) -> Company:
    """A partner whose bill of the first month is void, so that another one can be made."""
    of = await company(engine, policies, Random(0), {"system": SYSTEM})
    await of.do(of.entering("system", MONTHS[0], 100))
    async with transaction(engine) as connection:
        bill_id = await records.live_of(connection, of.partner_id, MONTHS[0])
        assert bill_id is not None
        await records.write_state(connection, bill_id, State.VOID)
    return of


async def made_by_two(of: Company) -> list[object]:
    async def make() -> object:
        async with of.unit("system") as uow:
            return await creation.make(uow, of.policies, of.partner_id, MONTHS[0])

    return list(await asyncio.gather(make(), make(), return_exceptions=True))


async def live_bills(of: Company) -> int:
    async with transaction(of.engine, readonly=True) as connection:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM bills WHERE partner_id = $1 AND state <> 'void'", of.partner_id
        )
    return count


@pytest.fixture
def without_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the other one, and both have looked for a bill before one is made."""
    both, live_of = asyncio.Barrier(2), records.live_of

    async def nothing(*_: object) -> None:
        return

    async def found(connection: asyncpg.Connection, *month: object) -> object:
        bill_id = await partial(live_of, connection)(*month)  # type: ignore[arg-type] # as it was called
        await both.wait()
        return bill_id

    monkeypatch.setattr(locks, "lock_bills_exclusive", nothing)
    monkeypatch.setattr(records, "live_of", found)


async def test_b01_two_who_make_a_bill_at_once_get_the_same(of: Company) -> None:
    one, other = await made_by_two(of)
    assert one == other
    assert await live_bills(of) == 1


async def test_b01_without_the_lock_the_unique_key_refuses_the_second(of: Company, without_lock: None) -> None:
    made = await made_by_two(of)
    assert [isinstance(each, asyncpg.UniqueViolationError) for each in made].count(True) == 1
    assert await live_bills(of) == 1


async def test_b01_without_lock_and_key_a_month_is_billed_twice(of: Company, without_lock: None) -> None:
    async with transaction(of.engine) as connection:
        await connection.execute("DROP INDEX uq_bills_one_live")
    await made_by_two(of)
    assert await live_bills(of) == 2
