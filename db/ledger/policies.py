"""What decides a partner's verdicts: terms, time zones, stored periods and rates, read and cached."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.periods import Calendar
from billing.policy import PartnerCalendar, Policy
from billing.rate_starts import CardRule, Span
from billing.rates import RateCard, RateRule
from billing.terms import CapScope, DuplicateWindow, Terms, TermsHistory
from db.masters.rates import span_from_row

PARTNERS = """
    SELECT id, external_id, currency, policy_version, closed_through, since_version AS same_terms_since
    FROM partners LEFT JOIN unchanged_terms ON partner_id = id AND through_version = policy_version
    WHERE id = ANY($1::uuid[])
"""
"""What `read_policies` is given of partners."""


class Policies:
    """A cache of partners' policies, valid while their policy version stays. One per process.

    It empties itself when it holds more than `most_cached` partners.
    """

    def __init__(self, most_cached: int = 20_000) -> None:
        self._cached: dict[UUID, Policy] = {}
        self._most_cached = most_cached

    async def load(self, connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> dict[UUID, Policy]:
        """The policy of each partner as it is now; it stays so while the caller holds the partner's lock."""
        rows = await connection.fetch(PARTNERS, list(partner_ids))
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
    card_of = _cards(rules, spans, calendars)
    return {
        row["id"]: Policy(
            partner_id=row["id"],
            closed_through=row["closed_through"],
            calendar=calendars[row["id"]],
            currency=row["currency"],
            version=row["policy_version"],
            terms=TermsHistory(terms[row["id"]]),
            card=card_of(row["id"]),
            same_terms_since=row["same_terms_since"],
        )
        for row in partners
    }


async def read_closed(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> dict[UUID, PartnerCalendar]:
    """Those of the partners that have closed periods; of a calendar only the start of the first open one is read."""
    zones: dict[UUID, dict[int, str]] = defaultdict(dict)
    for row in await connection.fetch(
        """
        SELECT partner_time_zones.* FROM partner_time_zones JOIN partners ON partners.id = partner_id
        WHERE partner_id = ANY($1::uuid[]) AND closed_through IS NOT NULL
        """,
        partner_ids,
    ):
        zones[row["partner_id"]][row["from_period"]] = row["timezone"]
    rows = await connection.fetch(
        """
        SELECT partners.id, closed_through, period, starts_at
        FROM partners LEFT JOIN periods ON partner_id = partners.id
            AND period = closed_through + CASE closed_through % 100 WHEN 12 THEN 89 ELSE 1 END
        WHERE partners.id = ANY($1::uuid[]) AND closed_through IS NOT NULL
        """,
        partner_ids,
    )
    return {
        row["id"]: PartnerCalendar(
            row["id"],
            row["closed_through"],
            Calendar(zones[row["id"]], {row["period"]: row["starts_at"]} if row["period"] else {}),
        )
        for row in rows
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


def _cards(
    rules: Mapping[UUID | None, Sequence[CardRule]],
    spans: Mapping[UUID, Mapping[int, Span]],
    calendars: Mapping[UUID, Calendar],
) -> Callable[[UUID], RateCard]:
    """Makes the card of a partner. One card serves all for whom the rules of all count alike: most of thousands."""
    general = rules.get(None, ())
    depends_on_zone = any(isinstance(rule.start, int) for rule in general)
    shared = RateCard(UUID(int=0), _rules_of_partner(general, Calendar({0: "UTC"}), {}))

    def card_of(partner_id: UUID) -> RateCard:
        own, own_spans = rules.get(partner_id, ()), spans.get(partner_id, {})
        if not (own or own_spans or depends_on_zone):
            return shared.for_partner(partner_id)
        return RateCard(partner_id, _rules_of_partner([*general, *own], calendars[partner_id], own_spans))

    return card_of


def _rules_of_partner(rules: Iterable[CardRule], calendar: Calendar, spans: Mapping[int, Span]) -> list[RateRule]:
    counting = (rule.of_partner(calendar, spans.get(rule.id, Span())) for rule in rules)
    return [rule for rule in counting if rule is not None]
