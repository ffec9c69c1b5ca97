"""What each fraud rule judges: the figures of its groups, counted by Postgres over the table `screened`.

A query leaves out only groups whose score cannot reach the threshold; the rule itself decides.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Set
from types import MappingProxyType
from typing import Any

import asyncpg

from billing.fraud.disposable_domain import is_disposable
from billing.fraud.mailbox_family import WITHOUT_DOTS, mailbox
from billing.fraud.rule import Figures, SetRule, Subject
from billing.fraud.test_row import EMAILS, NAMES, is_test_person
from db.fraud.screened import in_pieces

COLUMNS: Mapping[Subject, tuple[str, ...]] = MappingProxyType(
    {
        Subject.ACTION: ("action_id",),
        Subject.CUSTOMER: ("customer_id",),
        Subject.CUSTOMER_HOUR: ("customer_id", "hour"),
        Subject.SOURCE: ("source",),
        Subject.SOURCE_HOUR: ("source", "hour"),
    }
)
"""The columns of `screened` that say which group an action is in."""

Group = tuple[Any, ...]
"""The values of these columns."""

Counted = AsyncIterator[list[tuple[Group, Figures]]]

_CUSTOMERS = "(SELECT DISTINCT customer_id FROM screened) AS listed JOIN customers ON customers.id = customer_id"

_CUSTOMER_BURST = """
    SELECT customer_id, hour, count(*) AS actions FROM screened GROUP BY customer_id, hour HAVING count(*) >= $1
"""
_SOURCE_BURST = """
    WITH hours AS (SELECT source, hour, count(*) AS actions FROM screened GROUP BY source, hour),
    usual AS (SELECT source, percentile_disc(0.5) WITHIN GROUP (ORDER BY actions) AS usual FROM hours GROUP BY source)
    SELECT source, hour, actions, usual FROM hours JOIN usual USING (source) WHERE actions >= $1
"""
_REGULAR_INTERVALS = """
    SELECT customer_id, count(*) AS actions, round(avg(gap_s))::bigint AS interval_s,
        ceil(1000 * stddev_pop(gap_s) / avg(gap_s))::bigint AS spread_permille
    FROM (
        SELECT customer_id, at_s - lag(at_s) OVER (PARTITION BY customer_id ORDER BY at_s) AS gap_s
        FROM screened WHERE NOT midnight
    ) AS gaps
    GROUP BY customer_id
    HAVING count(*) >= $1 AND avg(gap_s) > 0 AND 1000 * stddev_pop(gap_s) <= 2 * $2::int * avg(gap_s)
"""
_IMPOSSIBLE_INSTANTS = "SELECT action_id, early_s, ahead_s FROM screened WHERE early_s >= $1 OR ahead_s >= $2"
_MANY_PARTNERS = """
    SELECT customer_id, count(*) AS partners
    FROM (SELECT DISTINCT customer_id FROM screened) AS listed JOIN customer_states USING (customer_id)
    JOIN customer_periods USING (partner_id, customer_id)
    WHERE period = $2 AND actions > 0 GROUP BY customer_id HAVING count(*) >= $1
"""
_DUPLICATE_RATE = """
    SELECT customer_id, sum(same)::bigint AS actions, (100 * (sum(same) - count(*)) / sum(same))::int AS percent
    FROM (SELECT customer_id, key, count(*) AS same FROM screened GROUP BY customer_id, key) AS keys
    GROUP BY customer_id HAVING sum(same) >= $1
"""
_NIGHT_ONLY = """
    SELECT source, count(*) AS actions, 100 * count(*) FILTER (WHERE night) / count(*) AS percent
    FROM screened WHERE NOT midnight GROUP BY source HAVING count(*) >= $1
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
    query = f"SELECT customer_id FROM {_CUSTOMERS} WHERE split_part(email, '@', -1) = ANY($1::text[])"  # noqa: S608 - the same
    async for customers in in_pieces(connection, query, found):
        yield [((row["customer_id"],), {"disposable": 1}) for row in customers]


async def _mailbox_family(connection: asyncpg.Connection) -> Counted:
    """Addresses with a plus sign, and those of a provider that ignores dots; others are alone in their mailbox."""
    by_customer = {}
    query = f"""
        SELECT customer_id, email FROM {_CUSTOMERS}
        WHERE email LIKE '%+%@%' OR split_part(email, '@', -1) = ANY($1::text[])
    """  # noqa: S608 - _CUSTOMERS is a constant
    async for rows in in_pieces(connection, query, list(WITHOUT_DOTS)):
        by_customer.update({row["customer_id"]: mailbox(row["email"]) for row in rows})
    sizes = Counter(by_customer.values())
    yield [((customer,), {"customers": sizes[each]}) for customer, each in by_customer.items() if sizes[each] > 1]


async def _test_row(connection: asyncpg.Connection) -> Counted:
    query = f"""
        SELECT customer_id, name, email FROM {_CUSTOMERS}
        WHERE email = ANY($1::text[]) OR lower(name) = ANY($2::text[])
    """  # noqa: S608 - _CUSTOMERS is a constant
    async for rows in in_pieces(connection, query, list(EMAILS), list(NAMES)):
        yield [((row["customer_id"],), {"test": 1}) for row in rows if is_test_person(row["name"], row["email"])]
