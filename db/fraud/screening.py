"""Screening months of partners: what the rules find is counted, and what armed rules find is held (M4).

What is found is written in one transaction and held in others, some each, so that batches wait for none of them long.
Killed in between, the next screen of the partner holds the rest.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import msgspec

from billing.actions import HoldStatus
from billing.fraud.rule import Finding, SetRule
from billing.periods import text_from_period
from billing.policy import Policy
from db.core.unit_of_work import UnitOfWork
from db.fraud import screened, set_rules
from db.fraud.figures import COLUMNS, Group, counted
from db.ledger import many_changes
from db.ledger.many_changes import ManyChanges
from db.ledger.policies import Policies
from db.tasks import records as tasks

KIND = "screen_fraud"
"""The kind of its background task."""

ACTIONS_AT_ONCE = 1_000
"""Of one transaction, as batches of leads have them."""

Begin = Callable[[], AbstractAsyncContextManager[UnitOfWork]]


@dataclass(frozen=True, slots=True)
class Found:
    """What one rule found in a partner's month; the value is in minor units."""

    rule: str
    version: int
    armed: bool
    customers: int
    actions: int
    value_minor: int


@dataclass(slots=True)
class Screened:
    """The result of a screen: what was looked at, what each rule found, and how many actions are held now by it."""

    currency: str
    actions: int
    found: list[Found]
    held: int


async def start(uow: UnitOfWork, partner_id: UUID, period: int) -> UUID:
    """Start the task that screens a partner's month; while one runs, that one's id."""
    await uow.audit("fraud.screened", partner_id, after={"period": text_from_period(period)})
    arguments = {"partner_id": partner_id, "period": period}
    return await tasks.start(uow, KIND, arguments, dedup_key=f"{partner_id} {period}")


async def screen(
    begin: Begin,
    policies: Policies,
    partner_ids: Sequence[UUID],
    period: int,
    disposable: Set[str],
    progress: Callable[[int, int], Awaitable[None]] | None = None,
) -> dict[UUID, Screened]:
    """Screen a month of partners in transactions of its own; `disposable` are domains of throw-away mailboxes.

    Many small partners at once cost hardly more than one.
    """
    async with begin() as uow:
        in_force = await policies.load(uow.connection, partner_ids)
        found = await find(uow.connection, list(in_force.values()), period, disposable)
        waiting = await _waiting(uow.connection, partner_ids)
    total, looked_at = sum(waiting.values()), 0
    for partner_id in waiting:
        while True:
            async with begin() as uow:
                some, held = await hold_some(uow, policies, partner_id)
            if not some:
                break
            found[partner_id].held += held
            looked_at += some
            if progress:
                await progress(looked_at, max(total, looked_at))
    return found


async def find(
    connection: asyncpg.Connection, policies: Sequence[Policy], period: int, disposable: Set[str]
) -> dict[UUID, Screened]:
    """Count what the rules find of each partner, and write down what armed ones would hold.

    An action that several armed rules find is held by the one with the highest score.
    """
    rules = await set_rules.read_all(connection)
    actions = await screened.fill(connection, policies, period)
    results = {each.partner_id: Screened(each.currency, actions.get(each.partner_id, 0), [], 0) for each in policies}
    for rule in rules:
        found = await _found(connection, rule, period, disposable)
        for partner_id, result in results.items():
            counts = found.get(partner_id, (0, 0, 0))
            result.found.append(Found(rule.rule.name, rule.rule.version, rule.armed, *counts))
    await _note_screens(connection, period, results)
    armed = [rule for rule in rules if rule.armed]
    if armed:
        await _write_down(connection, armed)
    await screened.drop(connection)
    return results


async def hold_some(uow: UnitOfWork, policies: Policies, partner_id: UUID) -> tuple[int, int]:
    """Hold some of what was found; returns how many actions it looked at, 0 if nothing waits, and how many it held."""
    connection = uow.connection
    rows = await connection.fetch(
        """
        SELECT action_id, customer_id FROM fraud_holds WHERE partner_id = $1 AND held_at IS NULL
        ORDER BY customer_id LIMIT $2
        """,
        partner_id,
        ACTIONS_AT_ONCE,
    )
    if not rows:
        return 0, 0
    locked = await many_changes.lock(connection, policies, partner_id, {row["customer_id"] for row in rows})
    waiting = await connection.fetch(
        "SELECT action_id, rule, reason FROM fraud_holds WHERE action_id = ANY($1::uuid[]) AND held_at IS NULL",
        [row["action_id"] for row in rows],
    )
    reasons = {row["action_id"]: row["reason"] for row in waiting}
    held = await many_changes.change(connection, locked, ManyChanges(reasons, HoldStatus.COUNTED, HoldStatus.HELD))
    await connection.execute(
        "UPDATE fraud_holds SET held_at = clock_timestamp() WHERE action_id = ANY($1::uuid[])", list(held)
    )
    # Somebody decided about the others, or closed their month, since they were found.
    await connection.execute(
        "DELETE FROM fraud_holds WHERE action_id = ANY($1::uuid[]) AND held_at IS NULL", list(reasons)
    )
    by_rule: dict[str, int] = {}
    for row in waiting:
        by_rule[row["rule"]] = by_rule.get(row["rule"], 0) + (row["action_id"] in held)
    if held:
        await uow.audit("fraud.held", partner_id, after={rule: count for rule, count in by_rule.items() if count})
    return len(rows), len(held)


async def _found(
    connection: asyncpg.Connection, rule: SetRule, period: int, disposable: Set[str]
) -> dict[UUID, tuple[int, int, int]]:
    """Judge the groups of a rule and keep the guilty ones; customers, actions and value by partner."""
    columns, is_any_guilty = COLUMNS[rule.rule.subject], False
    async for groups in counted(connection, rule, period, disposable):
        judged = [(group, found) for group, figures in groups if (found := rule.judge(figures))]
        if judged:
            await _keep(connection, rule, columns, judged)
            is_any_guilty = True
    if not is_any_guilty:
        return {}
    rows = await connection.fetch(
        f"""
        SELECT partner_id, count(*) AS customers, sum(actions)::bigint AS actions,
            sum(value_minor)::bigint AS value_minor
        FROM (
            SELECT partner_id, customer_id, count(*) AS actions, sum(value_minor) AS value_minor
            FROM screened WHERE {_is_guilty(columns)} GROUP BY partner_id, customer_id
        ) AS customers GROUP BY partner_id
        """,  # noqa: S608 - names of our own columns
        rule.rule.name,
    )
    return {row["partner_id"]: (row["customers"], row["actions"], row["value_minor"]) for row in rows}


def _is_guilty(columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    return f"({names}) IN (SELECT {names} FROM guilty WHERE rule = $1)"  # noqa: S608 - the same


async def _keep(
    connection: asyncpg.Connection, rule: SetRule, columns: Sequence[str], judged: Sequence[tuple[Group, Finding]]
) -> None:
    await connection.copy_records_to_table(
        "guilty",
        records=[
            (rule.rule.name, *group, found.score, _json(found.facts), rule.reason(found)) for group, found in judged
        ],
        columns=["rule", *columns, "score", "facts", "reason"],
    )


async def _note_screens(connection: asyncpg.Connection, period: int, results: Mapping[UUID, Screened]) -> None:
    noted = [(partner_id, each) for partner_id in sorted(results) for each in results[partner_id].found]
    await connection.execute(
        """
        INSERT INTO fraud_screens (partner_id, period, rule, version, armed, customers, actions, value_minor)
        SELECT one.partner_id, $1, rule, version, armed, customers, actions, value_minor FROM unnest(
            $2::uuid[], $3::text[], $4::int[], $5::bool[], $6::bigint[], $7::bigint[], $8::bigint[]
        ) AS one (partner_id, rule, version, armed, customers, actions, value_minor)
        ON CONFLICT (partner_id, period, rule) DO UPDATE SET version = excluded.version, armed = excluded.armed,
            customers = excluded.customers, actions = excluded.actions, value_minor = excluded.value_minor,
            screened_at = excluded.screened_at
        """,
        period,
        [partner_id for partner_id, _ in noted],
        *([getattr(each, name) for _, each in noted] for name in Found.__slots__),
    )


async def _write_down(connection: asyncpg.Connection, armed: Sequence[SetRule]) -> None:
    """Keep, for every action that can be held and that armed rules find, the finding with the highest score.

    What fraud found once has its row for ever, so it is never held again, whatever people decided since.
    """
    names: dict[tuple[str, ...], list[str]] = {}
    for rule in armed:
        names.setdefault(COLUMNS[rule.rule.subject], []).append(rule.rule.name)
    findings = " UNION ALL ".join(
        f"""
        SELECT screened.action_id, screened.partner_id, screened.customer_id, rule, score, facts, reason
        FROM screened JOIN guilty ON {" AND ".join(f"guilty.{name} = screened.{name}" for name in columns)}
        WHERE can_be_held AND rule = ANY(${number}::text[])
        """  # noqa: S608 - names of our own columns
        for number, columns in enumerate(names, 3)
    )
    await connection.execute(
        f"""
        INSERT INTO fraud_holds (action_id, partner_id, customer_id, rule, version, score, facts, reason)
        SELECT DISTINCT ON (action_id) action_id, partner_id, customer_id, rule, version, score, facts::jsonb, reason
        FROM ({findings}) AS found JOIN unnest($1::text[], $2::int[]) AS armed (rule, version) USING (rule)
        ORDER BY action_id, score DESC, rule
        ON CONFLICT DO NOTHING
        """,  # noqa: S608 - the same
        [rule.rule.name for rule in armed],
        [rule.rule.version for rule in armed],
        *names.values(),
    )


async def _waiting(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many actions wait to be held, of each partner that has any."""
    rows = await connection.fetch(
        """
        SELECT partner_id, count(*) AS actions FROM fraud_holds
        WHERE partner_id = ANY($1::uuid[]) AND held_at IS NULL GROUP BY partner_id ORDER BY partner_id
        """,
        partner_ids,
    )
    return {row["partner_id"]: row["actions"] for row in rows}


def _json(facts: object) -> str:
    return msgspec.json.encode(facts).decode()
