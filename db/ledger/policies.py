"""What decides a partner's verdicts: terms, time zones, stored periods and rates, read and cached."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.periods import Calendar
from billing.policy import Policy
from billing.rate_starts import CardRule, Span
from billing.rates import RateCard, RateRule
from billing.terms import CapScope, DuplicateWindow, Terms, TermsHistory
from db.masters.rates import span_from_row


class Policies:
    """A cache of partners' policies, valid while their policy version stays. One per process.

    It empties itself when it holds more than `most_cached` partners.
    """

    def __init__(self, most_cached: int = 20_000) -> None:
        self._cached: dict[UUID, Policy] = {}
        self._most_cached = most_cached

    async def load(self, connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> dict[UUID, Policy]:
        """The policy of each partner as it is now; it stays so while the caller holds the partner's lock."""
        rows = await connection.fetch(
            "SELECT id, currency, policy_version, closed_through FROM partners WHERE id = ANY($1::uuid[])",
            list(partner_ids),
        )
        loaded = {row["id"]: cached for row in rows if (cached := self._current(row))}
        stale = [row for row in rows if row["id"] not in loaded]
        if stale:
            # While this waits, a transaction that fails may clear the cache; `loaded` has what was found in it.
            loaded |= await read_policies(connection, stale)
            if len(self._cached) > self._most_cached:
                self._cached.clear()
            self._cached |= loaded
        return loaded

    def clear(self) -> None:
        """Empty the cache. Call it when a transaction fails: the periods that it stored are gone."""
        self._cached.clear()

    def _current(self, row: asyncpg.Record) -> Policy | None:
        cached = self._cached.get(row["id"])
        if cached is None or cached.version != row["policy_version"]:
            return None
        if cached.closed_through != row["closed_through"]:
            cached = self._cached[row["id"]] = replace(cached, closed_through=row["closed_through"])
        return cached


async def read_policies(connection: asyncpg.Connection, partners: Sequence[asyncpg.Record]) -> dict[UUID, Policy]:
    """The policies of partners, given their rows."""
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
    rules: dict[UUID | None, list[CardRule]] = defaultdict(list)
    for row in await connection.fetch(
        """
        SELECT * FROM rates
        WHERE (partner_id IS NULL OR partner_id = ANY($1::uuid[])) AND (
            ended_at IS NULL
            OR EXISTS (SELECT FROM rate_spans WHERE rule_id = rates.id AND partner_id = ANY($1::uuid[]))
        )
        """,
        ids,
    ):
        rules[row["partner_id"]].append(rule_from_row(row))
    spans: dict[UUID, dict[int, Span]] = defaultdict(dict)
    for row in await connection.fetch("SELECT * FROM rate_spans WHERE partner_id = ANY($1::uuid[])", ids):
        spans[row["partner_id"]][row["rule_id"]] = span_from_row(row)
    calendars = {row["id"]: Calendar(zones[row["id"]], starts[row["id"]]) for row in partners}
    return {
        row["id"]: Policy(
            partner_id=row["id"],
            currency=row["currency"],
            version=row["policy_version"],
            closed_through=row["closed_through"],
            calendar=calendars[row["id"]],
            terms=TermsHistory(terms[row["id"]]),
            card=RateCard(
                row["id"],
                _rules_of_partner([*rules[None], *rules[row["id"]]], calendars[row["id"]], spans[row["id"]]),
            ),
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


def rule_from_row(row: asyncpg.Record) -> CardRule:
    """A row of rates as the domain knows it."""
    return CardRule(
        id=row["id"],
        conditions=(
            row["partner_id"],
            row["product_id"],
            row["lead_type_key"],
            row["action_type_key"],
            row["level_key"],
        ),
        amount_minor=row["amount_minor"],
        start=row["from_period"] or row["effective_from"],
        is_ended=row["ended_at"] is not None,
    )


def _rules_of_partner(rules: Iterable[CardRule], calendar: Calendar, spans: Mapping[int, Span]) -> list[RateRule]:
    counting = (rule.of_partner(calendar, spans.get(rule.id, Span())) for rule in rules)
    return [rule for rule in counting if rule is not None]
