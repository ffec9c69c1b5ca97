"""Actions with everything that was decided about them and why (R15)."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, groupby
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import asyncpg

from billing.actions import WINNING, Action, Outcome, Verdict, Winner, in_evaluation_order
from billing.affected_range import PeriodCounters
from billing.duplicates import winner_from_action
from billing.explain import (
    Amount,
    Credit,
    Decision,
    Explained,
    Other,
    action_by_id,
    explain,
    explain_one,
    reason_text,
)
from billing.money import amount_from_minor
from billing.terms import CapScope, Terms, TermsHistory
from db.core.slices import in_slices
from db.ledger import cap_used, correction_links, period_counters, reading, winners
from db.ledger.case import Case, Customer
from db.ledger.policies import terms_from_row
from db.masters.carried_ids import first_carried

ACTIONS_AT_ONCE = 2_000
_NEVER = datetime.max.replace(tzinfo=UTC)

_CONDITIONS = ("partner", "product", "lead_type", "action_type", "engagement_level")


@dataclass(frozen=True, slots=True)
class LineCustomer:
    """The customer of a line, as a report names them."""

    external_id: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class LineProduct:
    """The product of a line."""

    external_id: str
    name: str


class Line(NamedTuple):
    """One action with its verdict, explained; amounts in minor units of `currency`.

    A named tuple, because a report makes up to a million of them and a frozen dataclass takes three times as long.
    """

    explained: Explained
    lead: str
    """The lead's id as it was sent."""
    lead_type: str
    customer: LineCustomer
    product: LineProduct
    rule: str
    """What the rate rule names: "Email Campaign · Click · High"."""
    currency: str
    terms: Terms
    card_version: int
    credit: Credit | None
    decision: Decision
    external_id: str | None
    """The action's own id as it was sent."""

    @property
    def reason(self) -> str:
        """Why the action was or was not billed, in one sentence."""
        return self.reason_with(amount_from_minor)

    def reason_with(self, amount: Amount, other: Other = action_by_id) -> str:
        """The same sentence with money as a reader writes it, and with other actions as they are named there."""
        return reason_text(
            self.explained, self.terms, self.currency, self.rule, self.decision, self.credit, amount, other
        )


async def lines_of_customers(
    connection: asyncpg.Connection,
    partner_id: UUID,
    period: int,
    customer_ids: Sequence[UUID],
    *,
    until: datetime = _NEVER,
    people: bool = True,
) -> AsyncIterator[list[Line]]:
    """All actions of some customers in one billing period, explained, by customer and evaluation order, in pieces.

    About `ACTIONS_AT_ONCE` are in memory at a time, however many a customer has. Call it in a transaction. What
    happened after `until` is left out. Without `people` customers have the id that leads of the partner carried.
    """
    terms, currency = await _terms(connection, partner_id)
    in_force = terms.at(period)
    customers = await _customers(connection, customer_ids, None if people else partner_id)
    versions = await _versions(connection, {((partner_id, customer_id), period) for customer_id in customer_ids})
    periods = await period_counters.read(connection, [((partner_id, customer), 0) for customer in customer_ids])
    used = dict.fromkeys(customer_ids, 0)
    if in_force.cap_scope is CapScope.LIFETIME:
        used = {each: _used_before_period(periods.get((partner_id, each), {}), period) for each in customer_ids}
    async for rows in _pieces(connection, partner_id, period, customer_ids, until):
        # What many actions share is read once, not joined to each of them: a report has up to a million.
        rules = await _rules(connection, {row["rate_rule_id"] for row in rows})
        products = await _products(connection, {row["product_id"] for row in rows})
        duplicates = {row["duplicate_key"] for row in rows if row["outcome"] == Outcome.DUPLICATE}
        holders = await winners.by_key(connection, duplicates) if duplicates else {}
        corrected_by = dict(await correction_links.of_actions(connection, [row["id"] for row in rows]))
        corrects = {right_id: wrong_id for wrong_id, right_id in corrected_by.items()}
        lines = []
        for customer_id, of_customer in groupby(rows, itemgetter("customer_id")):
            by_action = {row["id"]: row for row in of_customer}
            verdicts = [reading.verdict_from_row(row) async for row in in_slices(by_action.values())]
            async for explained in in_slices(explain(verdicts, holders, in_force, used[customer_id])):
                action = explained.verdict.action
                row = by_action[action.id]
                lines.append(
                    Line(
                        explained,
                        row["lead"],
                        row["lead_type"],
                        customers[customer_id],
                        products[action.product_id],
                        rules[action.rate_rule_id],
                        currency,
                        in_force,
                        versions[(partner_id, customer_id), period],
                        Credit(row["credited_minor"], row["credit_period"]) if row["credit_period"] else None,
                        Decision(
                            row["credit_reason"] or row["standing_reason"],
                            corrects.get(action.id),
                            corrected_by.get(action.id),
                        ),
                        row["own_id"],
                    )
                )
            used[customer_id] += sum(verdict.billed_minor for verdict in verdicts)
        yield lines


async def instant_of_nth(
    connection: asyncpg.Connection, partner_id: UUID, period: int, customer_id: UUID, number: int
) -> datetime:
    """When the n-th action of a customer in a billing period happened, read from an index alone; after all if fewer."""
    found: datetime | None = await connection.fetchval(
        """
        SELECT occurred_at FROM actions WHERE partner_id = $1 AND billing_period = $2 AND customer_id = $3
        ORDER BY occurred_at OFFSET $4 LIMIT 1
        """,
        partner_id,
        period,
        customer_id,
        number - 1,
    )
    return found or _NEVER


async def _pieces(
    connection: asyncpg.Connection, partner_id: UUID, period: int, customer_ids: Sequence[UUID], until: datetime
) -> AsyncIterator[list[asyncpg.Record]]:
    """Rows of actions by customer, instant and lead. Those that only their texts order stay together."""
    cursor = await connection.cursor(
        """
        SELECT actions.*, leads.external_id AS lead, leads.lead_type,
               credits.amount_minor AS credited_minor, credits.period AS credit_period, credits.reason AS credit_reason,
               action_external_ids.external_id AS own_id
        FROM actions JOIN leads ON leads.id = actions.lead_id LEFT JOIN credits ON credits.action_id = actions.id
        LEFT JOIN action_external_ids ON action_external_ids.action_id = actions.id
        WHERE actions.partner_id = $1 AND actions.billing_period = $2 AND actions.customer_id = ANY($3::uuid[])
            AND actions.occurred_at <= $4
        ORDER BY actions.customer_id, actions.occurred_at, actions.lead_id
        """,
        partner_id,
        period,
        list(customer_ids),
        until,
    )
    rest: list[asyncpg.Record] = []
    more = True
    while more:
        fetched = await cursor.fetch(ACTIONS_AT_ONCE)
        more = len(fetched) == ACTIONS_AT_ONCE
        rows = rest + fetched
        end = len(rows)
        while more and end and _place(rows[end - 1]) == _place(rows[-1]):
            end -= 1
        rest = rows[end:]
        if end:
            yield rows[:end]


_place = itemgetter("customer_id", "occurred_at", "lead_id")


@dataclass(frozen=True, slots=True)
class DecidedAction:
    """A verdict to explain, and what stands beside it: ids of lead and action as sent, and what people decided."""

    customer: Customer
    lead: str
    lead_type: str
    verdict: Verdict
    credit: Credit | None = None
    reason: str | None = None
    external_id: str | None = None


class Unwritten:
    """Verdicts of a dry run, which are explained as if they were on record; by default there are none."""

    def __init__(self, cases: Iterable[Case] = (), people: Mapping[UUID, LineCustomer] = MappingProxyType({})) -> None:
        self.people = people
        self.versions: dict[tuple[Customer, int], int] = {}
        differences: dict[tuple[Customer, int], list[tuple[tuple[object, ...], int]]] = defaultdict(list)
        self._winners: dict[UUID, dict[UUID, Winner | None]] = defaultdict(dict)
        for case in cases:
            if case.ends_stale:
                periods = filter(case.policy.is_open, case.counters)
                self.versions |= {(case.customer, period): case.policy.version for period in periods}
            for before, verdict in case.changes:
                for changed, sign in ((before, -1), (verdict, 1)):
                    if changed is not None:
                        at = case.customer, changed.action.billing_period
                        self.versions[at] = case.policy.version
                        differences[at].append((in_evaluation_order(changed.action), sign * changed.billed_minor))
                action = verdict.action
                holds_key = verdict.outcome in WINNING
                self._winners[action.key][action.id] = winner_from_action(action) if holds_key else None
        self._places: dict[tuple[Customer, int], list[tuple[object, ...]]] = {}
        self._sums: dict[tuple[Customer, int], list[int]] = {}
        self._of_periods: dict[Customer, dict[int, int]] = defaultdict(dict)
        for (customer, period), changes in differences.items():
            changes.sort()
            self._places[customer, period] = [place for place, _ in changes]
            self._sums[customer, period] = sums = [0, *accumulate(minor for _, minor in changes)]
            self._of_periods[customer][period] = sums[-1]

    def used_before(self, customer: Customer, action: Action) -> int:
        """How much more of the cap is used before an action in its period than is on record."""
        at = customer, action.billing_period
        places = self._places.get(at)
        return self._sums[at][bisect_left(places, in_evaluation_order(action))] if places else 0

    def used_before_period(self, customer: Customer, period: int) -> int:
        """How much more of a lifetime cap is used before a period than is on record."""
        return sum(minor for earlier, minor in self._of_periods.get(customer, {}).items() if earlier < period)

    def holders(self, key: UUID, on_record: Iterable[Winner]) -> list[Winner]:
        """The holders of a key in evaluation order."""
        changed = self._winners.get(key)
        if not changed:
            return list(on_record)
        holders = [holder for holder in on_record if holder.action_id not in changed]
        holders += [holder for holder in changed.values() if holder is not None]
        return sorted(holders, key=lambda holder: (holder.billing_period, holder.occurred_at))


async def lines_of_lead(connection: asyncpg.Connection, lead_id: UUID) -> list[Line]:
    """All actions of one lead, explained, in evaluation order; no others are read."""
    return await lines_of_actions(connection, await actions_of_leads(connection, [lead_id]))


async def action_line(connection: asyncpg.Connection, action_id: UUID) -> Line | None:
    """One action, explained; None if it is not on record."""
    lines = await lines_of_actions(connection, await _decided(connection, "actions.id", [action_id]))
    return lines[0] if lines else None


async def actions_of_leads(connection: asyncpg.Connection, lead_ids: Sequence[UUID]) -> list[DecidedAction]:
    """The actions of leads with their verdicts on record."""
    return await _decided(connection, "actions.lead_id", lead_ids)


async def _decided(connection: asyncpg.Connection, column: str, ids: Sequence[UUID]) -> list[DecidedAction]:
    rows = await connection.fetch(
        f"""
        SELECT actions.*, leads.external_id AS lead, leads.lead_type,
               credits.amount_minor AS credited_minor, credits.period AS credit_period, credits.reason AS credit_reason,
               action_external_ids.external_id AS own_id
        FROM actions JOIN leads ON leads.id = actions.lead_id LEFT JOIN credits ON credits.action_id = actions.id
        LEFT JOIN action_external_ids ON action_external_ids.action_id = actions.id
        WHERE {column} = ANY($1::uuid[])
        """,  # noqa: S608 - a column of ours
        list(ids),
    )
    return [
        DecidedAction(
            reading.customer_from_row(row),
            row["lead"],
            row["lead_type"],
            reading.verdict_from_row(row),
            Credit(row["credited_minor"], row["credit_period"]) if row["credit_period"] else None,
            row["credit_reason"] or row["standing_reason"],
            row["own_id"],
        )
        for row in rows
    ]


async def lines_of_actions(
    connection: asyncpg.Connection, decided: Sequence[DecidedAction], unwritten: Unwritten | None = None
) -> list[Line]:
    """Actions, explained, in evaluation order: what is read is in proportion to them, not to their customers."""
    if not decided:
        return []
    unwritten = unwritten or Unwritten()
    decided = sorted(decided, key=lambda each: in_evaluation_order(each.verdict.action))
    actions = [each.verdict.action for each in decided]
    customers = {each.customer for each in decided}
    agreed = {partner_id: await _terms(connection, partner_id) for partner_id in {partner for partner, _ in customers}}
    counters = await period_counters.read(connection, [(customer, 0) for customer in customers])
    in_force = [agreed[each.customer[0]][0].at(each.verdict.action.billing_period) for each in decided]
    capped = [
        (each.customer, each.verdict.action)
        for each, terms in zip(decided, in_force, strict=True)
        if terms.cap_minor is not None
    ]
    used = await cap_used.used_before(connection, capped, counters)
    duplicates = {each.verdict.action.key for each in decided if each.verdict.outcome is Outcome.DUPLICATE}
    holders = await winners.by_key(connection, duplicates) if duplicates else {}
    rules = await _rules(connection, {action.rate_rule_id for action in actions})
    people = {**await _customers(connection, {customer for _, customer in customers}), **unwritten.people}
    products = await _products(connection, {action.product_id for action in actions})
    versions = await _versions(connection, {(e.customer, e.verdict.action.billing_period) for e in decided})
    versions |= unwritten.versions
    corrected_by = dict(await correction_links.of_actions(connection, [action.id for action in actions]))
    corrects = {right_id: wrong_id for wrong_id, right_id in corrected_by.items()}
    lines = []
    for each, terms in zip(decided, in_force, strict=True):
        action, (partner_id, customer_id) = each.verdict.action, each.customer
        used_minor = used.get(action.id, 0) + unwritten.used_before(each.customer, action)
        if terms.cap_scope is CapScope.LIFETIME:
            used_minor += _used_before_period(counters.get(each.customer, {}), action.billing_period)
            used_minor += unwritten.used_before_period(each.customer, action.billing_period)
        of_key = unwritten.holders(action.key, holders.get(action.key, ()))
        lines.append(
            Line(
                explain_one(each.verdict, of_key, terms, used_minor),
                each.lead,
                each.lead_type,
                people[customer_id],
                products[action.product_id],
                rules[action.rate_rule_id],
                agreed[partner_id][1],
                terms,
                versions[each.customer, action.billing_period],
                each.credit,
                Decision(each.reason, corrects.get(action.id), corrected_by.get(action.id)),
                each.external_id,
            )
        )
    return lines


def _used_before_period(counters: Mapping[int, PeriodCounters], period: int) -> int:
    """What counts against a lifetime cap from before a period, and what was credited up to it, in minor units."""
    used = sum(counted.billed_minor for earlier, counted in counters.items() if earlier < period)
    return used - sum(counted.credited_minor for earlier, counted in counters.items() if earlier <= period)


async def _terms(connection: asyncpg.Connection, partner_id: UUID) -> tuple[TermsHistory, str]:
    rows = await connection.fetch(
        "SELECT * FROM partner_terms JOIN partners ON partners.id = partner_id WHERE partner_id = $1", partner_id
    )
    return TermsHistory((row["from_period"], terms_from_row(row)) for row in rows), rows[0]["currency"]


async def _rules(connection: asyncpg.Connection, ids: Iterable[int]) -> dict[int, str]:
    """What each rate rule names, by its id."""
    rows = await connection.fetch(
        """
        SELECT rates.*, partners.external_id AS partner, products.external_id AS product
        FROM rates LEFT JOIN partners ON partners.id = rates.partner_id
        LEFT JOIN products ON products.id = rates.product_id
        WHERE rates.id = ANY($1::bigint[])
        """,
        list(ids),
    )
    return {
        row["id"]: " · ".join(row[name] for name in _CONDITIONS if row[name] is not None) or "everything"
        for row in rows
    }


async def _customers(
    connection: asyncpg.Connection, ids: Iterable[UUID], named_by: UUID | None = None
) -> dict[UUID, LineCustomer]:
    """Customers by their row keys, with their own ids or those that leads of a partner carried."""
    rows = await connection.fetch(
        f"""
        SELECT id, {first_carried("$2::uuid")} AS external_id, name, email FROM customers WHERE id = ANY($1::uuid[])
        """,  # noqa: S608 - an id of ours
        list(ids),
        named_by,
    )
    return {row["id"]: LineCustomer(row["external_id"], row["name"], row["email"]) for row in rows}


async def _products(connection: asyncpg.Connection, ids: Iterable[UUID]) -> dict[UUID, LineProduct]:
    rows = await connection.fetch("SELECT id, external_id, name FROM products WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: LineProduct(row["external_id"], row["name"]) for row in rows}


async def _versions(
    connection: asyncpg.Connection, wanted: Iterable[tuple[Customer, int]]
) -> dict[tuple[Customer, int], int]:
    """The policy version by which customers were judged in billing periods."""
    order = list(wanted)
    rows = await connection.fetch(
        """
        SELECT partner_id, customer_id, period, policy_version
        FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS wanted (partner_id, customer_id, period)
        JOIN customer_periods USING (partner_id, customer_id, period)
        """,
        [customer[0] for customer, _ in order],
        [customer[1] for customer, _ in order],
        [period for _, period in order],
    )
    return {((row["partner_id"], row["customer_id"]), row["period"]): row["policy_version"] for row in rows}
