"""B5: the list of what waits for somebody has the bills that the rules of moves say, among many, page by page."""

from random import Random
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.bills.callers import Caller
from billing.bills.states import Move
from billing.contracts.preferences import Approver
from billing.roles import Role
from db.access import users
from db.bills import moves, records
from db.bills.filters import BillFilter
from db.bills.moves import Mover
from db.bills.records import BillHead
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.core.unit_of_work import publish_nothing, unit_of_work
from tests.people import password_hash
from tests.world import World

_STATES = ("draft", "pending", "pending", "pending", "pending", "approved", "rejected", "void")
_FORWARD = {Move.SUBMIT, Move.APPROVE, Move.REVISE, Move.ISSUE}
_BILLS = 150


async def test_b05_what_waits_for_somebody_is_what_they_can_move_on(world: World, engine: AsyncEngine) -> None:
    """The condition of rows and the rules of moves are two spellings; here random people did anything."""
    random = Random(5)
    people = {name: await _person(engine, name, role) for name, role in _ROLES.items()}
    keys = {name: await _key(engine, people[name]) for name in ("ada", "cleo", "fay")}
    async with transaction(engine) as connection:
        await connection.execute(
            "INSERT INTO deputies VALUES ($1, $2, clock_timestamp() + interval '1 day'),"
            " ($3, $4, clock_timestamp() - interval '1 day')",
            *(people[name].id for name in ("carl", "sam", "cleo", "fay")),
        )
        for place in range(_BILLS):
            await _any_bill(connection, random, 200001 + place // 12 * 100 + place % 12, people, keys)
    callers = [(people[name], Mover(people[name].id, role)) for name, role in _ROLES.items()]
    callers += [(key, Mover(people[name].id, Role.FINANCE)) for name, key in keys.items()]
    async with transaction(engine, readonly=True) as connection:
        heads = await records.page(connection, BillFilter(), before=None, limit=_BILLS)
        for actor, mover in callers:
            waiting = BillFilter(waiting_for=Caller(actor.kind.value, mover.person, mover.role))
            found = await _paged(connection, waiting)
            can = {head.id: await moves.open_to(connection, head, actor, mover) for head in heads}
            assert found == [head.id for head in heads if _FORWARD & set(can[head.id])], actor.name
            assert await records.counts(connection, [BillFilter(), waiting]) == [_BILLS, len(found)]
            assert 0 < len(found) < _BILLS, "else it proves nothing"


_ROLES = {
    "ada": Role.ADMIN,
    "fay": Role.FINANCE,
    "carl": Role.FINANCE,  # a CSM of some bills
    "cleo": Role.CUSTOMER_SUCCESS,
    "sam": Role.SALES,
}


async def _person(engine: AsyncEngine, name: str, role: Role) -> Actor:
    async with unit_of_work(engine, publish_nothing) as uow:
        user = await users.create(uow, name, f"{name}@example.com", role, None, password_hash())
    return Actor(ActorKind.USER, user.id, name)


async def _key(engine: AsyncEngine, of: Actor) -> Actor:
    key_id = uuid4()
    async with transaction(engine) as connection:
        await connection.execute(
            "INSERT INTO api_keys (id, name, key_hash, scopes) VALUES ($1, $2, $3, '{bill}')",
            key_id,
            f"key of {of.name}",
            key_id.bytes,
        )
        await connection.execute("INSERT INTO key_makers (key_id, user_id) VALUES ($1, $2)", key_id, of.id)
    return Actor(ActorKind.KEY, key_id, f"key of {of.name}")


async def _any_bill(
    connection: asyncpg.Connection, random: Random, period: int, people: dict[str, Actor], keys: dict[str, Actor]
) -> None:
    """A bill at any stage, with any places asked and some of them filled, made by anybody."""
    bill_id, partner_id, everybody = uuid4(), partner_uuid("acme"), [*people.values(), *keys.values()]
    asked = random.choices(list(Approver), k=random.randrange(1, 4))
    csm = random.choice([None, people["carl"].id, people["cleo"].id, people["fay"].id])
    await connection.execute(
        """
        INSERT INTO bills
            (id, partner_id, period, currency, state, digest, content, net_minor, tax_minor, asked, csm_id)
        VALUES ($1, $2, $3, 'EUR', $4, '', '{}', 100, 0, $5, $6)
        """,
        bill_id,
        partner_id,
        period,
        random.choice(_STATES),
        asked,
        csm,
    )
    for place in asked[1:]:  # one is empty, else it would be approved
        if random.randrange(2):
            await connection.execute(
                "INSERT INTO bill_approvals (bill_id, user_id, place) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                bill_id,
                random.choice(list(people.values())).id,
                place,
            )
    for position in range(1, random.randrange(2, 5)):
        move = random.choice(("create", "refresh", "adjust", "submit", "recall", "approve"))
        await connection.execute(
            """
            INSERT INTO bill_actions (bill_id, position, who_kind, who_id, who_name, move, to_state, digest)
            VALUES ($1, $2, $3, $4, '', $5, 'draft', '')
            """,
            *(bill_id, position, *_who(random.choice(everybody)), move),
        )
    if random.randrange(6) == 0:
        await connection.execute(
            """
            INSERT INTO usage (partner_id, period, source, key, entry, units, who_kind, who_id, who_name)
            VALUES ($1, $2, 'api', '', 1, 1, $3, $4, '')
            """,
            *(partner_id, period, *_who(random.choice(everybody))),
        )
    if random.randrange(6) == 0:
        await connection.execute(
            """
            INSERT INTO adjustments
                (id, partner_id, period, text, amount_minor, reason, own_tax, who_kind, who_id, who_name)
            VALUES ($1, $2, $3, '', 1, '', false, $4, $5, '')
            """,
            *(uuid4(), partner_id, period, *_who(random.choice(everybody))),
        )


def _who(actor: Actor) -> tuple[str, UUID | None]:
    return actor.kind.value, actor.id


async def _paged(connection: asyncpg.Connection, only: BillFilter) -> list[UUID]:
    """All ids, seven a page; no page but the last is shorter."""
    found: list[BillHead] = []
    while True:
        before: Any = (found[-1].created_at, found[-1].id) if found else None
        page = await records.page(connection, only, before=before, limit=7)
        found += page
        if len(page) < 7:
            return [head.id for head in found]
