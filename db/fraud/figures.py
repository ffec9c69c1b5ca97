"""What each fraud rule judges: the figures of its groups, counted by Postgres over the table `screened`.

A query leaves out only groups whose score cannot reach the threshold; the rule itself decides.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Set
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg

from billing.fraud.disposable_domain import is_disposable
from billing.fraud.mailbox_family import WITHOUT_DOTS, mailbox
from billing.fraud.rule import Figures, SetRule, Subject
from billing.fraud.test_row import EMAILS, NAMES, is_test_person
from db.fraud.screened import in_pieces

COLUMNS: Mapping[Subject, tuple[str, ...]] = MappingProxyType(
    {
        Subject.ACTION: ("action_id",),
        Subject.CUSTOMER: ("partner_id", "customer_id"),
        Subject.CUSTOMER_HOUR: ("partner_id", "customer_id", "hour"),
        Subject.SOURCE: ("partner_id", "source"),
        Subject.SOURCE_HOUR: ("partner_id", "source", "hour"),
    }
)
"""The columns of `screened` that say which group an action is in."""

Group = tuple[Any, ...]
"""The values of these columns."""

Counted = AsyncIterator[list[tuple[Group, Figures]]]

_LISTED = "(SELECT DISTINCT partner_id, customer_id FROM screened) AS listed"
_CUSTOMERS = f"{_LISTED} JOIN customers ON customers.id = customer_id"

_CUSTOMER_BURST = """
    SELECT partner_id, customer_id, hour, count(*) AS actions FROM screened
    GROUP BY partner_id, customer_id, hour HAVING count(*) >= $1
"""
_SOURCE_BURST = """
    WITH hours AS (
        SELECT partner_id, source, hour, count(*) AS actions FROM screened GROUP BY partner_id, source, hour
    ), usual AS (
        SELECT partner_id, source, percentile_disc(0.5) WITHIN GROUP (ORDER BY actions) AS usual
        FROM hours GROUP BY partner_id, source
    )
    SELECT partner_id, source, hour, actions, usual FROM hours JOIN usual USING (partner_id, source)
    WHERE actions >= $1
"""
_REGULAR_INTERVALS = """
    SELECT partner_id, customer_id, count(*) AS actions, round(avg(gap_s))::bigint AS interval_s,
        ceil(1000 * stddev_pop(gap_s) / avg(gap_s))::bigint AS spread_permille
    FROM (
        SELECT partner_id, customer_id,
            at_s - lag(at_s) OVER (PARTITION BY partner_id, customer_id ORDER BY at_s) AS gap_s
        FROM screened WHERE NOT midnight
    ) AS gaps
    GROUP BY partner_id, customer_id
    HAVING count(*) >= $1 AND avg(gap_s) > 0 AND 1000 * stddev_pop(gap_s) <= 2 * $2::int * avg(gap_s)
"""
_IMPOSSIBLE_INSTANTS = "SELECT action_id, early_s, ahead_s FROM screened WHERE early_s >= $1 OR ahead_s >= $2"
_MANY_PARTNERS = f"""
    SELECT listed.partner_id, listed.customer_id, count(DISTINCT known.partner_id) AS partners
    FROM {_LISTED} JOIN customer_states AS known ON known.customer_id = listed.customer_id
    JOIN customer_periods AS counted
        ON counted.partner_id = known.partner_id AND counted.customer_id = known.customer_id AND period >= $2
    WHERE actions > 0 AND (period = $2 OR held > 0 AND EXISTS (
        SELECT FROM actions WHERE actions.partner_id = known.partner_id AND billing_period = period
            AND actions.customer_id = known.customer_id AND own_period <= $2 AND standing = 'held'
    ))
    GROUP BY listed.partner_id, listed.customer_id HAVING count(DISTINCT known.partner_id) >= $1
"""  # noqa: S608 - _LISTED is a constant
"""What is held moved on with the close of its month; or partners would find less, the later they are screened."""
_DUPLICATE_RATE = """
    SELECT partner_id, customer_id, sum(same)::bigint AS actions,
        (100 * (sum(same) - count(*)) / sum(same))::int AS percent
    FROM (
        SELECT partner_id, customer_id, key, count(*) AS same FROM screened GROUP BY partner_id, customer_id, key
    ) AS keys
    GROUP BY partner_id, customer_id HAVING sum(same) >= $1
"""
_NIGHT_ONLY = """
    SELECT partner_id, source, count(*) AS actions, 100 * count(*) FILTER (WHERE night) / count(*) AS percent
    FROM screened WHERE NOT midnight GROUP BY partner_id, source HAVING count(*) >= $1
"""


def counted(connection: asyncpg.Connection, rule: SetRule, period: int, disposable: Set[str]) -> Counted:
    """The groups that a rule may find something about, in pieces. `disposable` are the domains that nobody keeps."""
    match rule.rule.name:
        case "disposable_domain":
            return _disposable_domain(connection, disposable)
        case "mailbox_family":
            return _mailbox_family(connection)
        case "test_row":
            return _test_row(connection)
        case name:
            query, arguments = _QUERIES[name]
            return _counted(connection, rule.rule.subject, query, *arguments(rule, period))


_QUERIES: Mapping[str, tuple[str, Callable[[SetRule, int], tuple[int, ...]]]] = MappingProxyType(
    {
        "customer_burst": (_CUSTOMER_BURST, lambda rule, _: (rule.least("actions"),)),
        "source_burst": (_SOURCE_BURST, lambda rule, _: (rule.least("actions"),)),
        "regular_intervals": (
            _REGULAR_INTERVALS,
            lambda rule, _: (rule.limits["actions"], rule.limits["spread_permille"]),
        ),
        "impossible_instants": (_IMPOSSIBLE_INSTANTS, lambda rule, _: (rule.least("early_s"), rule.least("ahead_s"))),
        "many_partners": (_MANY_PARTNERS, lambda rule, period: (rule.least("partners"), period)),
        "duplicate_rate": (_DUPLICATE_RATE, lambda rule, _: (rule.limits["actions"],)),
        "night_only": (_NIGHT_ONLY, lambda rule, _: (rule.limits["actions"],)),
    }
)


async def _counted(connection: asyncpg.Connection, subject: Subject, query: str, *arguments: int) -> Counted:
    width = len(COLUMNS[subject])
    async for rows in in_pieces(connection, query, *arguments):
        yield [(tuple(row.values())[:width], dict(tuple(row.items())[width:])) for row in rows]


async def _disposable_domain(connection: asyncpg.Connection, disposable: Set[str]) -> Counted:
    rows = await connection.fetch(f"SELECT DISTINCT split_part(email, '@', -1) AS domain FROM {_CUSTOMERS}")  # noqa: S608 - _CUSTOMERS is a constant
    found = [row["domain"] for row in rows if is_disposable(row["domain"], disposable)]
    query = f"SELECT partner_id, customer_id FROM {_CUSTOMERS} WHERE split_part(email, '@', -1) = ANY($1::text[])"  # noqa: S608 - the same
    async for customers in in_pieces(connection, query, found):
        yield [(tuple(row), {"disposable": 1}) for row in customers]


async def _mailbox_family(connection: asyncpg.Connection) -> Counted:
    """Addresses with a plus sign, and those of a provider that ignores dots; others are alone in their mailbox."""
    by_customer: dict[Group, tuple[UUID, str]] = {}
    query = f"""
        SELECT partner_id, customer_id, email FROM {_CUSTOMERS}
        WHERE email LIKE '%+%@%' OR split_part(email, '@', -1) = ANY($1::text[])
    """  # noqa: S608 - _CUSTOMERS is a constant
    async for rows in in_pieces(connection, query, list(WITHOUT_DOTS)):
        by_customer |= {(partner, customer): (partner, mailbox(email)) for partner, customer, email in rows}
    sizes = Counter(by_customer.values())
    yield [(customer, {"customers": sizes[each]}) for customer, each in by_customer.items() if sizes[each] > 1]


async def _test_row(connection: asyncpg.Connection) -> Counted:
    query = f"""
        SELECT partner_id, customer_id, name, email FROM {_CUSTOMERS}
        WHERE email = ANY($1::text[]) OR lower(name) = ANY($2::text[])
    """  # noqa: S608 - _CUSTOMERS is a constant
    async for rows in in_pieces(connection, query, list(EMAILS), list(NAMES)):
        yield [((partner, customer), {"test": 1}) for partner, customer, *who in rows if is_test_person(*who)]
