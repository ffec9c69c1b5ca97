"""Attribution of one partner and period: figures by lead type, product, action type, level or source.

The rows of every column but `customers` add up to the live report, and so do credits under every model. By action type
and level a lead is counted with each that it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from uuid import UUID

import asyncpg

from billing.attribution.models import By, Credits, Model
from billing.errors import RuleViolation
from billing.money import amount_from_minor, minor_from_exact
from billing.texts import text_key
from billing.totals import Totals
from db.core.totals_rows import COUNTED_TOTALS, totals_from_row
from db.reports.csv_format import csv_row

MOST_KEYS = 10_000
_ROWS_AT_ONCE = 1_000


_COLUMNS: Mapping[By, str] = MappingProxyType(
    {
        By.LEAD_TYPE: "leads.lead_type",
        By.PRODUCT: "products.external_id",
        By.ACTION_TYPE: "actions.action_type",
        By.ENGAGEMENT_LEVEL: "actions.engagement_level",
        By.SOURCE: "leads.source",
    }
)
_COMPARED_FOLDED = {By.LEAD_TYPE, By.ACTION_TYPE, By.ENGAGEMENT_LEVEL}
"""Texts that are one however they are spelled in upper and lower case (R1)."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of one key; money in minor units.

    `customers` are those with an action that counts. `returned` counts actions that are returned or credited, in
    whichever period. `credit_minor` is what was billed, that of converting actions as the model divides it.
    """

    key: str
    totals: Totals
    credited_minor: int
    customers: int
    returned: int
    credit_minor: int

    @property
    def cost_per_customer_minor(self) -> int | None:
        """What was billed for each customer; None without any."""
        return minor_from_exact(Fraction(self.totals.billed_minor, self.customers)) if self.customers else None

    @property
    def return_rate(self) -> str | None:
        """The share of actions that were returned, like "0.0250"; None without any."""
        if not self.totals.actions:
            return None
        share = minor_from_exact(Fraction(self.returned * 10_000, self.totals.actions))
        return f"{share // 10_000}.{share % 10_000:04d}"


async def read(
    connection: asyncpg.Connection, partner_id: UUID, period: int, by: By, model: Model, converting: Sequence[str]
) -> list[Part]:
    """The parts by key; `converting` are action types. Call it in a transaction that only reads.

    Raises RuleViolation for more than `MOST_KEYS` keys.
    """
    spellings = await _spellings(connection, partner_id, period, by)
    names = _keys(by, spellings)
    if len(names) > MOST_KEYS:
        raise RuleViolation(f"There are more than {MOST_KEYS:,} of them; ask by something else.")
    places = {name: place for place, name in enumerate(names)}
    keys = [places[names_key] for names_key in (_key(by, each) for each in spellings)]
    wanted = {text_key(each) for each in converting}
    types = spellings if by is By.ACTION_TYPE else await _spellings(connection, partner_id, period, By.ACTION_TYPE)
    converts = [each for each in types if text_key(each) in wanted]
    arguments = partner_id, period, spellings, keys, converts
    rows = {row["key"]: row for row in await connection.fetch(_query(_FIGURES, by), *arguments)}
    booked = {row["key"]: row["credited_minor"] for row in await connection.fetch(_query(_BOOKED, by), *arguments[:4])}
    credits_ = await _credits(connection, by, model, arguments) if converts else Credits(model)
    return [
        Part(
            key=name,
            totals=totals_from_row(rows[place]) if place in rows else Totals(),
            credited_minor=booked.get(place, 0),
            customers=rows[place]["customers"] if place in rows else 0,
            returned=rows[place]["returned_or_credited"] if place in rows else 0,
            credit_minor=(rows[place]["kept_minor"] if place in rows else 0) + credits_.by_key.get(place, 0),
        )
        for place, name in enumerate(names.values())
    ]


def _key(by: By, spelling: str) -> str:
    return text_key(spelling) if by in _COMPARED_FOLDED else spelling


def _keys(by: By, spellings: Sequence[str]) -> dict[str, str]:
    """The first spelling of each key, in the order of the keys."""
    names: dict[str, str] = {}
    for spelling in sorted(spellings):
        names.setdefault(_key(by, spelling), spelling)
    return dict(sorted(names.items()))


def _query(query: str, by: By) -> str:
    joined = ""
    if by is By.PRODUCT:
        joined = "JOIN products ON products.id = actions.product_id"
    elif by in (By.LEAD_TYPE, By.SOURCE):
        joined = "JOIN leads ON leads.id = actions.lead_id"
    return query.replace("{column}", _COLUMNS[by]).replace("{joined}", joined)


_SPELLINGS = """
    SELECT {column} AS spelling FROM actions {joined}
    WHERE actions.partner_id = $1 AND billing_period = $2 GROUP BY {column}
    UNION
    SELECT {column} FROM credits JOIN actions ON actions.id = action_id {joined}
    WHERE credits.partner_id = $1 AND credits.period = $2
"""
_KEYS = "JOIN unnest($3::text[], $4::int[]) AS keys (spelling, key) ON spelling = {column}"
_FIGURES = f"""
    SELECT key, {COUNTED_TOTALS}, count(DISTINCT actions.customer_id) FILTER (WHERE standing = 'counted') AS customers,
        count(*) FILTER (
            WHERE standing = 'returned' OR actions.id IN (SELECT action_id FROM credits WHERE partner_id = $1)
        ) AS returned_or_credited,
        coalesce(sum(billed_minor) FILTER (WHERE action_type <> ALL($5::text[])), 0)::bigint AS kept_minor
    FROM actions {{joined}} {_KEYS}
    WHERE actions.partner_id = $1 AND billing_period = $2 GROUP BY key
"""  # noqa: S608 - texts of this module
_BOOKED = f"""
    SELECT key, sum(amount_minor)::bigint AS credited_minor
    FROM credits JOIN actions ON actions.id = action_id {{joined}} {_KEYS}
    WHERE credits.partner_id = $1 AND credits.period = $2 GROUP BY key
"""  # noqa: S608 - texts of this module
_TOUCHES = f"""
    WITH converted AS (
        SELECT DISTINCT customer_id FROM actions
        WHERE partner_id = $1 AND billing_period = $2 AND billed_minor > 0 AND action_type = ANY($5::text[])
    )
    SELECT actions.customer_id IS DISTINCT FROM lag(actions.customer_id) OVER in_order AS begins, key,
        CASE WHEN action_type = ANY($5::text[]) THEN billed_minor ELSE 0 END AS converted_minor
    FROM converted JOIN actions USING (customer_id) {{joined}} {_KEYS}
    WHERE actions.partner_id = $1 AND billing_period = $2 AND standing = 'counted'
    WINDOW in_order AS (
        ORDER BY actions.customer_id, occurred_at, actions.lead_id, action_type, engagement_level, occurrence,
            actions.id
    )
"""  # noqa: S608 - texts of this module


async def _spellings(connection: asyncpg.Connection, partner_id: UUID, period: int, by: By) -> list[str]:
    rows = await connection.fetch(_query(_SPELLINGS, by), partner_id, period)
    return [row["spelling"] for row in rows]


async def _credits(connection: asyncpg.Connection, by: By, model: Model, arguments: Sequence[object]) -> Credits:
    """What was billed for converting actions, credited to the keys of touches, some thousand rows at a time."""
    credits_ = Credits(model)
    cursor = await connection.cursor(_query(_TOUCHES, by), *arguments)
    while rows := await cursor.fetch(_ROWS_AT_ONCE):
        for begins, key, converted_minor in rows:
            if begins:
                credits_.next_customer()
            credits_.add(key, converted_minor)
    return credits_


CSV_COLUMNS = (
    "key",
    "leads",
    "actions",
    "customers",
    "gross",
    "billed",
    "credited",
    "net",
    "duplicate_savings",
    "cap_savings",
    "held",
    "returned",
    "cost_per_customer",
    "return_rate",
    "credit",
    "currency",
)


def csv_text(parts: Sequence[Part], currency: str) -> str:
    """The parts as CSV, one row each; the rows of a column of money add up to the report."""
    return "".join([csv_row(CSV_COLUMNS), *(csv_row(_cells(part, currency)) for part in parts)])


def _cells(part: Part, currency: str) -> list[str]:
    totals, cost_minor = part.totals, part.cost_per_customer_minor
    return [
        part.key,
        *map(str, (totals.leads, totals.actions, part.customers)),
        amount_from_minor(totals.gross_minor),
        amount_from_minor(totals.billed_minor),
        amount_from_minor(part.credited_minor),
        amount_from_minor(totals.billed_minor - part.credited_minor),
        amount_from_minor(totals.duplicate_savings_minor),
        amount_from_minor(totals.cap_savings_minor),
        amount_from_minor(totals.held_minor),
        amount_from_minor(totals.returned_minor),
        "" if cost_minor is None else amount_from_minor(cost_minor),
        part.return_rate or "",
        amount_from_minor(part.credit_minor),
        currency,
    ]
