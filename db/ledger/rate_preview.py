"""What a change of the rate card would change: judged on the real open actions, and rolled back.

It takes no lock that a batch waits for. The rules are written only to read the card with them, and rolled back before
anything is judged: whoever changes the same rule meanwhile waits for that moment.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.policy import Policy
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger import judging, rate_changes
from db.ledger.case import Case
from db.ledger.policies import PARTNERS, read_policies
from db.masters import rates
from db.masters.rates import NewRate
from db.tasks import waiting

KIND = "preview_rate"
"""The kind of the task that previews a change."""

MOST_ACTIONS = 100_000
_ACTIONS_AT_ONCE = 5_000
_SYSTEM = "preview"


@dataclass(slots=True)
class Difference:
    """What would differ in one billing period of one partner: after minus before."""

    partner: str
    period: int
    currency: str
    actions: int = 0
    gross_minor: int = 0
    billed_minor: int = 0


@dataclass(slots=True)
class Preview:
    """All differences. If it is not `complete`, only so many customers were looked at, in the order of their keys."""

    differences: list[Difference]
    customers: int
    actions: int
    complete: bool


class _RolledBack(Exception):
    """Ends the transaction of a preview."""


async def start(uow: UnitOfWork, change: NewRate | int, *amount_minor: int | None) -> UUID:
    """Start the task that previews a new rule, another amount for a rule or, without an amount, its end.

    TooManyWaiting if too many of the caller wait.
    """
    if isinstance(change, int):
        arguments: dict[str, Any] = {"rule_id": change, "amount_minor": list(amount_minor)}
    else:
        arguments = {"rate": asdict(change)}
        if isinstance(change.start, datetime):
            arguments["rate"]["start"] = change.start.isoformat()
    return await waiting.start(uow, KIND, "price previews", arguments)


async def preview(engine: AsyncEngine, arguments: dict[str, Any], most_actions: int = MOST_ACTIONS) -> Preview:
    """The differences that a change would make, given the arguments of its task; BillingError if it is refused."""
    found = Preview([], 0, 0, complete=True)
    changed = None
    while changed is None:
        # Who sets the same rule at this moment is not waited for, but refused by its unique key; then theirs is there.
        with suppress(asyncpg.UniqueViolationError):
            async with _rolled_back(engine) as connection:
                changed = await _changed_policies(connection, arguments)
    async with transaction(engine, readonly=True) as connection:
        for partner_id, policy in changed.items():
            await _add_partner(connection, found, partner_id, policy, most_actions)
    return found


@asynccontextmanager
async def _rolled_back(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    try:
        async with transaction(engine) as connection:
            yield connection
            raise _RolledBack
    except _RolledBack:
        pass


async def _changed_policies(connection: asyncpg.Connection, arguments: dict[str, Any]) -> dict[UUID, Policy]:
    """The policies of the partners that a change touches, as they would be."""
    if "rate" in arguments:
        rate = _rate_from_arguments(arguments["rate"])
    else:
        stored = await rates.read(connection, arguments["rule_id"])
        assert stored is not None, "rules are never deleted"
        rate = stored.rate
    ids = await rates.affected_partners(connection, rate.partner_id, rate.product_id)
    touched = await rate_changes.read_touched(connection, ids)
    if "rate" in arguments:
        await rate_changes.write_created(connection, touched, rate, _SYSTEM)
    elif arguments["amount_minor"]:
        await rate_changes.write_changed(
            connection, touched, arguments["rule_id"], arguments["amount_minor"][0], _SYSTEM
        )
    else:
        await rate_changes.write_ended(connection, touched, arguments["rule_id"], _SYSTEM)
    return await _policies(connection, ids)


async def _policies(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> dict[UUID, Policy]:
    rows = await connection.fetch(f"{PARTNERS} ORDER BY external_id", list(partner_ids))
    return await read_policies(connection, rows)


async def _add_partner(
    connection: asyncpg.Connection, found: Preview, partner_id: UUID, policy: Policy, most_actions: int
) -> None:
    external_id: str = await connection.fetchval("SELECT external_id FROM partners WHERE id = $1", partner_id)
    differences: dict[int, Difference] = {}
    after = UUID(int=0)
    while customers := await _customers_after(connection, partner_id, policy.first_open, after):
        cases = []
        for customer_id, actions in customers:
            if found.actions + actions > most_actions:
                found.complete = False
                break
            found.actions += actions
            found.customers += 1
            cases.append(Case((partner_id, customer_id), policy, policy.version))
        await judging.judge_again(connection, cases)
        for case in cases:
            _add_changes(differences, case, external_id)
        if not found.complete:
            break
        after = customers[-1][0]
    found.differences += [differences[period] for period in sorted(differences)]


async def _customers_after(
    connection: asyncpg.Connection, partner_id: UUID, first_open: int, after: UUID
) -> list[tuple[UUID, int]]:
    """The next customers with how many open actions each has: one, or more that have few together."""
    rows = await connection.fetch(
        """
        SELECT customer_id, actions FROM (
            SELECT customer_id, actions, sum(actions) OVER (ORDER BY customer_id) - actions AS before FROM (
                SELECT customer_id, sum(actions)::bigint AS actions FROM customer_periods
                WHERE partner_id = $1 AND period >= $2 AND customer_id > $3
                GROUP BY customer_id ORDER BY customer_id LIMIT 500
            ) AS counted
        ) AS summed
        WHERE before = 0 OR before + actions <= $4 ORDER BY customer_id
        """,
        partner_id,
        first_open,
        after,
        _ACTIONS_AT_ONCE,
    )
    return [(row["customer_id"], row["actions"]) for row in rows]


def _add_changes(differences: dict[int, Difference], case: Case, external_id: str) -> None:
    for before, after in case.changes:
        assert before is not None, "nothing is new in a preview"
        periods: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for sign, verdict in ((-1, before), (1, after)):
            periods[verdict.action.billing_period][0] += sign * verdict.action.value_minor
            periods[verdict.action.billing_period][1] += sign * verdict.billed_minor
        for period, (gross_minor, billed_minor) in periods.items():
            difference = differences.setdefault(period, Difference(external_id, period, case.policy.currency))
            difference.actions += 1
            difference.gross_minor += gross_minor
            difference.billed_minor += billed_minor


def _rate_from_arguments(arguments: dict[str, Any]) -> NewRate:
    start = arguments["start"]
    rate = NewRate(**arguments)
    return replace(
        rate,
        partner_id=UUID(arguments["partner_id"]) if arguments["partner_id"] else None,
        product_id=UUID(arguments["product_id"]) if arguments["product_id"] else None,
        start=datetime.fromisoformat(start) if isinstance(start, str) else start,
    )
