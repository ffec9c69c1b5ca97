"""Reading what decides a partner's verdicts: terms, time zones, stored periods and rates."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.periods import Calendar
from billing.policy import Policy
from billing.rates import BEGINNING, RateCard, RateRule
from billing.terms import CapScope, DuplicateWindow, Terms, TermsHistory

_MOST_REMEMBERED = 20_000


class Policies:
    """The policies of partners, remembered while their version stands. One per process; call under a partner lock."""

    def __init__(self) -> None:
        self._known: dict[UUID, Policy] = {}

    async def load(self, connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> dict[UUID, Policy]:
        """The policy of each partner as it is now."""
        rows = await connection.fetch(
            "SELECT id, currency, policy_version, closed_through FROM partners WHERE id = ANY($1::uuid[])",
            list(partner_ids),
        )
        loaded = {row["id"]: known for row in rows if (known := self._current(row))}
        stale = [row for row in rows if row["id"] not in loaded]
        if stale:
            # While this waits, a transaction that failed may forget what was known: `loaded` keeps its own.
            loaded |= await _read(connection, stale)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.clear()
            self._known |= loaded
        return loaded

    def clear(self) -> None:
        """Forget everything; called when a transaction failed, since it may have stored periods that are now gone."""
        self._known.clear()

    def _current(self, row: asyncpg.Record) -> Policy | None:
        known = self._known.get(row["id"])
        if known is None or known.version != row["policy_version"]:
            return None
        if known.closed_through != row["closed_through"]:
            known = self._known[row["id"]] = replace(known, closed_through=row["closed_through"])
        return known


async def store_periods(
    connection: asyncpg.Connection, policies: Mapping[UUID, Policy], used: Mapping[UUID, Iterable[int]]
) -> None:
    """Put the bounds of partners' periods on record the first time they are used; from then on they stand."""
    missing = sorted(
        (partner_id, period)
        for partner_id, periods in used.items()
        for period in set(periods) - policies[partner_id].calendar.stored.keys()
    )
    if not missing:
        return
    await connection.execute(
        """
        INSERT INTO periods (partner_id, period, starts_at, ends_at)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[])
        ON CONFLICT DO NOTHING
        """,
        [partner_id for partner_id, _ in missing],
        [period for _, period in missing],
        [policies[partner_id].calendar.start_of(period) for partner_id, period in missing],
        [policies[partner_id].calendar.end_of(period) for partner_id, period in missing],
    )
    for partner_id, period in missing:
        calendar = policies[partner_id].calendar
        calendar.stored = {**calendar.stored, period: calendar.start_of(period)}


async def _read(connection: asyncpg.Connection, partners: list[asyncpg.Record]) -> dict[UUID, Policy]:
    ids = [row["id"] for row in partners]
    terms: dict[UUID, list[tuple[int, Terms]]] = defaultdict(list)
    for row in await connection.fetch("SELECT * FROM partner_terms WHERE partner_id = ANY($1::uuid[])", ids):
        terms[row["partner_id"]].append((row["from_period"], terms_from_row(row)))
    zones: dict[UUID, dict[int, str]] = defaultdict(dict)
    for row in await connection.fetch("SELECT * FROM partner_time_zones WHERE partner_id = ANY($1::uuid[])", ids):
        zones[row["partner_id"]][row["from_period"]] = row["timezone"]
    starts: dict[UUID, dict[int, datetime]] = defaultdict(dict)
    for row in await connection.fetch("SELECT * FROM periods WHERE partner_id = ANY($1::uuid[])", ids):
        starts[row["partner_id"]][row["period"]] = row["starts_at"]
    rules = [
        rule_from_row(row)
        for row in await connection.fetch(
            "SELECT * FROM rate_rules WHERE partner_id IS NULL OR partner_id = ANY($1::uuid[])", ids
        )
    ]
    shared = [rule for rule in rules if rule.conditions[0] is None]
    own: dict[UUID | None, list[RateRule]] = defaultdict(list)
    for rule in rules:
        own[rule.conditions[0]].append(rule)
    return {
        row["id"]: Policy(
            partner_id=row["id"],
            currency=row["currency"],
            version=row["policy_version"],
            closed_through=row["closed_through"],
            calendar=Calendar(zones[row["id"]], starts[row["id"]]),
            terms=TermsHistory(terms[row["id"]]),
            card=RateCard(row["id"], [*shared, *own[row["id"]]]),
        )
        for row in partners
    }


def terms_from_row(row: asyncpg.Record) -> Terms:
    """The part of a row of partner_terms that decides verdicts."""
    return Terms(
        cap_minor=row["cap_minor"],
        cap_scope=CapScope(row["cap_scope"]),
        window=DuplicateWindow(row["dedup_window"], row["dedup_days"] or 0),
    )


def rule_from_row(row: asyncpg.Record) -> RateRule:
    """A row of rate_rules as the domain knows it."""
    return RateRule(
        id=row["id"],
        conditions=(
            row["partner_id"],
            row["product_id"],
            row["lead_type_key"],
            row["action_type_key"],
            row["level_key"],
        ),
        amount_minor=row["amount_minor"],
        effective_from=row["effective_from"] or BEGINNING,
    )
