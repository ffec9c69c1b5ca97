"""What would have been billed with other settings: real history on a snapshot, and nothing written but the result."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.actions import Action
from billing.errors import RuleViolation
from billing.policy import Policy
from billing.terms import CapScope
from billing.texts import text_key
from billing.what_if import Past, Supposed, billed_by_period
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger import reading, what_if_results
from db.ledger.policies import PARTNERS, read_policies
from db.ledger.what_if_results import Difference
from db.ledger.winners import frozen_by_key
from db.tasks import records as tasks
from db.tasks import waiting
from db.tasks.records import Progress

KIND = "what_if"
"""The kind of its background task."""

LONGEST_S = 600.0
_ACTIONS_AT_ONCE = 5_000  # more of them no longer fit into the cache of a processor
_MOST_CUSTOMERS_AT_ONCE = 500


@dataclass(slots=True)
class Sum:
    """What is billed to a partner in all periods looked at, as it is and as it would be."""

    partner: str
    currency: str
    before_minor: int = 0
    after_minor: int = 0


@dataclass(slots=True)
class Found:
    """The sums by partner, and how much was looked at."""

    sums: list[Sum]
    customers: int = 0
    actions: int = 0


@dataclass(frozen=True, slots=True)
class _Part:
    """Some customers of a partner: (customer, billing period) with actions, and how many actions."""

    wanted: list[tuple[UUID, int]]
    customers: list[UUID]
    actions: int


async def start(uow: UnitOfWork, partner_ids: Sequence[UUID], supposed: Supposed) -> UUID:
    """Start the task that looks at partners; while one with the same settings runs, that one's id.

    TooManyWaiting if too many of the caller wait.
    """
    arguments = {"partners": sorted(map(str, partner_ids)), "supposed": supposed}
    dedup_key = sha256(msgspec.json.encode(arguments)).hexdigest()
    return await waiting.start(uow, KIND, "what-ifs", arguments, dedup_key=dedup_key)


async def cancel(uow: UnitOfWork, task_id: UUID) -> bool:
    """End a what-if that has not ended; False if there is none."""
    found = await tasks.read(uow.connection, task_id)
    if found is None or found.kind != KIND:
        return False
    await tasks.fail(uow.connection, [task_id], "It was cancelled.")
    return True


async def look(
    engine: AsyncEngine, task_id: UUID, arguments: dict[str, Any], progress: Progress, longest_s: float = LONGEST_S
) -> Found:
    """Judge real history by other settings, given the arguments of the task, and store every difference.

    RuleViolation if somebody cancelled it, or if it takes longer than `longest_s`.
    """
    supposed = msgspec.convert(arguments["supposed"], Supposed)
    deadline = time.monotonic() + longest_s
    found = Found([])
    async with transaction(engine) as connection:
        await what_if_results.delete(connection, task_id)  # of an attempt that was killed
    async with transaction(engine, readonly=True) as snapshot:
        policies = await _policies(snapshot, [UUID(each) for each in arguments["partners"]])
        total = await _count(snapshot, list(policies), supposed)
        for partner_id, (external_id, policy) in policies.items():
            found.sums.append(Sum(external_id, policy.currency))
            other = supposed.policy(policy)
            credited_in = await _credits(snapshot, partner_id, supposed.first)
            after = UUID(int=0)
            while part := await _next_part(snapshot, partner_id, supposed, after):
                differences = await _differences(snapshot, other, supposed, part, credited_in, found.sums[-1])
                await _store(engine, task_id, differences, deadline)
                found.customers += len(part.customers)
                found.actions += part.actions
                after = part.customers[-1]
                await progress(found.actions, total)
    return found


async def _store(engine: AsyncEngine, task_id: UUID, differences: list[Difference], deadline: float) -> None:
    async with transaction(engine) as connection:
        task = await tasks.read(connection, task_id)
        if task is None or task.is_finished:
            raise RuleViolation("It was cancelled.")
        if time.monotonic() > deadline:
            raise RuleViolation("It took too long; ask for fewer partners or months.")
        await what_if_results.add(connection, task_id, differences)


async def _differences(
    connection: asyncpg.Connection,
    other: Policy,
    supposed: Supposed,
    part: _Part,
    credited_in: dict[UUID, int],
    total: Sum,
) -> list[Difference]:
    """Where the other policy would make a difference, by customer and period; `total` is added to."""
    actions: dict[UUID, list[Action]] = defaultdict(list)
    before: dict[tuple[UUID, int], int] = defaultdict(int)
    is_priced = bool(supposed.rates)
    for customer_id, lead_type, verdict in await reading.verdicts_of_periods(
        connection, other.partner_id, part.wanted, lead_types=is_priced
    ):
        action = verdict.action
        before[customer_id, action.billing_period] += verdict.billed_minor
        actions[customer_id].append(action)
        if is_priced:
            _price(action, text_key(lead_type), other)
    known = await _customers_before(connection, other.partner_id, part, supposed.first)
    keys = {(action.key, supposed.first) for customer_id in known for action in actions[customer_id]}
    winners = await frozen_by_key(connection, keys)
    used, credited = await _counted(connection, other, part, supposed)
    found = []
    for customer_id in part.customers:
        held = {action.key: winners[action.key] for action in actions[customer_id] if action.key in winners}
        past = Past(held, used.get(customer_id, {}), credited.get(customer_id, {}), credited_in)
        for period, after_minor in billed_by_period(actions[customer_id], other.terms, past).items():
            before_minor = before[customer_id, period]
            total.before_minor += before_minor
            total.after_minor += after_minor
            if before_minor != after_minor:
                found.append(Difference(other.partner_id, period, customer_id, before_minor, after_minor))
    return found


def _price(action: Action, lead_type_key: str, policy: Policy) -> None:
    """Give the action its rate by another card; in place, because a copy costs as much as its verdict."""
    rate = policy.card.price(
        action.product_id, lead_type_key, action.action_type_key, action.level_key, action.occurred_at
    )
    action.value_minor, action.rate_rule_id = rate.amount_minor, rate.rule_id


async def _policies(connection: asyncpg.Connection, partner_ids: list[UUID]) -> dict[UUID, tuple[str, Policy]]:
    rows = await connection.fetch(f"{PARTNERS} ORDER BY external_id", partner_ids)
    policies = await read_policies(connection, rows)
    return {row["id"]: (row["external_id"], policies[row["id"]]) for row in rows}


async def _count(connection: asyncpg.Connection, partner_ids: list[UUID], supposed: Supposed) -> int:
    """How many actions there are to judge."""
    counted: int = await connection.fetchval(
        """
        SELECT coalesce(sum(actions), 0)::bigint FROM customer_periods
        WHERE partner_id = ANY($1::uuid[]) AND period BETWEEN $2 AND $3
        """,
        partner_ids,
        supposed.first,
        supposed.last,
    )
    return counted


async def _next_part(connection: asyncpg.Connection, partner_id: UUID, supposed: Supposed, after: UUID) -> _Part | None:
    """The next customers: one, or more that have few actions together."""
    rows = await connection.fetch(
        """
        SELECT customer_id, array_agg(period) AS periods, sum(actions)::bigint AS actions FROM customer_periods
        WHERE partner_id = $1 AND period BETWEEN $2 AND $3 AND actions > 0 AND customer_id > $4
        GROUP BY customer_id ORDER BY customer_id LIMIT $5
        """,
        partner_id,
        supposed.first,
        supposed.last,
        after,
        _MOST_CUSTOMERS_AT_ONCE,
    )
    taken: list[asyncpg.Record] = []
    actions = 0
    for row in rows:
        if taken and actions + row["actions"] > _ACTIONS_AT_ONCE:
            break
        taken.append(row)
        actions += row["actions"]
    if not taken:
        return None
    wanted = [(row["customer_id"], period) for row in taken for period in row["periods"]]
    return _Part(wanted, [row["customer_id"] for row in taken], actions)


async def _customers_before(connection: asyncpg.Connection, partner_id: UUID, part: _Part, first: int) -> set[UUID]:
    """Which customers have winners in earlier billing periods."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT customer_id FROM customer_periods
        WHERE partner_id = $1 AND customer_id = ANY($2::uuid[]) AND period < $3 AND billed + partly_billed + capped > 0
        """,
        partner_id,
        part.customers,
        first,
    )
    return {row["customer_id"] for row in rows}


async def _counted(
    connection: asyncpg.Connection, policy: Policy, part: _Part, supposed: Supposed
) -> tuple[dict[UUID, dict[int, int]], dict[UUID, dict[int, int]]]:
    """What was billed before the first period and what was credited until the last, for a cap over a lifetime."""
    used: dict[UUID, dict[int, int]] = defaultdict(dict)
    credited: dict[UUID, dict[int, int]] = defaultdict(dict)
    if all(terms.cap_scope is CapScope.PERIOD for terms in policy.terms.versions):
        return used, credited
    for row in await connection.fetch(
        """
        SELECT customer_id, period, billed_minor, credited_minor FROM customer_periods
        WHERE partner_id = $1 AND customer_id = ANY($2::uuid[]) AND period <= $3
        """,
        policy.partner_id,
        part.customers,
        supposed.last,
    ):
        credited[row["customer_id"]][row["period"]] = row["credited_minor"]
        if row["period"] < supposed.first:
            used[row["customer_id"]][row["period"]] = row["billed_minor"]
    return used, credited


async def _credits(connection: asyncpg.Connection, partner_id: UUID, first: int) -> dict[UUID, int]:
    """The periods in which actions of the periods looked at, or earlier ones, were credited."""
    rows = await connection.fetch(
        "SELECT action_id, period FROM credits WHERE partner_id = $1 AND period >= $2", partner_id, first
    )
    return {row["action_id"]: row["period"] for row in rows}
