"""The fraud rules as they are set: shipped ones are in shadow until an Admin arms them (M4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from billing.fraud.rule import AT_LIMIT, Rule, SetRule, check_limits
from billing.fraud.rules import RULES
from db.core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What is to change of a rule; None stays, and so do limits that are not named."""

    armed: bool | None = None
    threshold: int | None = None
    limits: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What the newest screens of a rule's version found, all partners and months together; `last_at` None: none."""

    screens: int = 0
    customers: int = 0
    actions: int = 0
    last_at: datetime | None = None


async def read_all(connection: asyncpg.Connection) -> list[SetRule]:
    """Every rule as it is set."""
    stored = {row["rule"]: row for row in await connection.fetch("SELECT * FROM fraud_rules")}
    return [_set_rule(rule, stored.get(rule.name)) for rule in RULES.values()]


async def read(connection: asyncpg.Connection, rule: Rule) -> SetRule:
    """One rule as it is set."""
    return _set_rule(rule, await connection.fetchrow("SELECT * FROM fraud_rules WHERE rule = $1", rule.name))


async def change(uow: UnitOfWork, rule: Rule, wanted: RuleChange) -> SetRule:
    """Set a rule; it counts from the next screen on. Raises InvalidValue for limits that the rule cannot have."""
    before = await read(uow.connection, rule)
    check_limits(rule, wanted.limits or {})
    after = SetRule(
        rule,
        before.armed if wanted.armed is None else wanted.armed,
        wanted.threshold or before.threshold,
        {**before.limits, **(wanted.limits or {})},
    )
    if after == before:
        return before
    await uow.connection.execute(
        """
        INSERT INTO fraud_rules (rule, armed, threshold, limits) VALUES ($1, $2, $3, $4)
        ON CONFLICT (rule) DO UPDATE
            SET armed = excluded.armed, threshold = excluded.threshold, limits = excluded.limits
        """,
        rule.name,
        after.armed,
        after.threshold,
        msgspec.json.encode(dict(after.limits)).decode(),
    )
    await uow.audit("fraud_rule.changed", rule.name, before=_facts(before), after=_facts(after))
    return after


async def tallies(connection: asyncpg.Connection) -> dict[str, Tally]:
    """What was found, by rule; a rule that never screened is not among them."""
    rows = await connection.fetch(
        """
        SELECT rule, count(*) AS screens, sum(customers)::bigint AS customers, sum(actions)::bigint AS actions,
            max(screened_at) AS last_at
        FROM fraud_screens JOIN unnest($1::text[], $2::int[]) AS present (rule, version) USING (rule, version)
        GROUP BY rule
        """,
        list(RULES),
        [rule.version for rule in RULES.values()],
    )
    return {row["rule"]: Tally(row["screens"], row["customers"], row["actions"], row["last_at"]) for row in rows}


def _set_rule(rule: Rule, row: asyncpg.Record | None) -> SetRule:
    if row is None:
        return SetRule(rule, False, AT_LIMIT, dict(rule.limits))
    limits = {name: row["limits"].get(name, shipped) for name, shipped in rule.limits.items()}
    return SetRule(rule, row["armed"], row["threshold"], limits)


def _facts(rule: SetRule) -> dict[str, object]:
    return {"armed": rule.armed, "threshold": rule.threshold, "limits": dict(rule.limits)}
