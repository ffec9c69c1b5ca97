"""Who a customer id means (R12): a person, or another name for one with the same e-mail."""

from collections.abc import Iterable, Mapping
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from billing.leads import Person
from db.core import locks
from db.core.row_keys import customer_uuid
from db.privacy.identifiers import erased_email


async def resolve(connection: asyncpg.Connection, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The person behind each known customer id or alias."""
    rows = await connection.fetch(
        """
        SELECT id, id AS customer_id FROM customers WHERE id = ANY($1::uuid[])
        UNION ALL
        SELECT id, customer_id FROM customer_aliases WHERE id = ANY($1::uuid[])
        """,
        list(ids),
    )
    return {row["id"]: row["customer_id"] for row in rows}


async def ensure(connection: asyncpg.Connection, people: Mapping[str, Person]) -> dict[UUID, UUID]:
    """Create the people that leads describe, by the customer's external id; returns the person behind each.

    An id that is known stays as it is; an unknown id with a known e-mail becomes an alias of that person. Call it in
    a transaction of its own.
    """
    await locks.lock_people_exclusive(connection)
    known = await resolve(connection, map(customer_uuid, people))
    unknown = {external_id: person for external_id, person in people.items() if customer_uuid(external_id) not in known}
    if not unknown:
        return known
    by_email = {
        row["email"]: row["id"]
        for row in await connection.fetch(
            "SELECT id, email FROM customers WHERE email = ANY($1::text[])",
            [person.email for person in unknown.values()],
        )
    }
    customers, aliases = [], []
    for external_id, person in unknown.items():
        row_id = customer_uuid(external_id)
        if row_id in known:  # two spellings of one UUID
            continue
        if person.email in by_email:
            aliases.append((row_id, external_id, by_email[person.email]))
        else:
            customers.append((row_id, external_id, person.name, person.email))
            by_email[person.email] = row_id
        known[row_id] = by_email[person.email]
    await connection.copy_records_to_table(
        "customers", records=customers, columns=["id", "external_id", "name", "email"]
    )
    await connection.copy_records_to_table(
        "customer_aliases", records=aliases, columns=["id", "external_id", "customer_id"]
    )
    return known


async def customer(connection: asyncpg.Connection, customer_id: UUID) -> asyncpg.Record | None:
    """A person with the other ids that mean them."""
    return await connection.fetchrow(f"{_PEOPLE} WHERE id = $1", customer_id)


_PEOPLE = """
    SELECT customers.*, ARRAY(
        SELECT external_id FROM customer_aliases WHERE customer_id = customers.id ORDER BY external_id
    ) AS aliases
    FROM customers
"""


async def page(connection: asyncpg.Connection, *, after: str | None, limit: int) -> list[asyncpg.Record]:
    """People by external id, with the other ids that mean them."""
    return await connection.fetch(
        f"{_PEOPLE} WHERE $1::text IS NULL OR external_id > $1 ORDER BY external_id LIMIT $2",
        after,
        limit,
    )


async def change(connection: asyncpg.Connection, customer_id: UUID, values: Mapping[str, str]) -> bool:
    """Change name or e-mail; False if the e-mail is another person's. RuleViolation if the person was erased."""
    await locks.lock_people_exclusive(connection)
    email = await connection.fetchval("SELECT email FROM customers WHERE id = $1", customer_id)
    if email == erased_email(customer_id):
        raise RuleViolation("This customer was erased, and stays so; a person who comes back gets another id.")
    if "email" in values and await connection.fetchval(
        "SELECT EXISTS (SELECT FROM customers WHERE email = $1 AND id <> $2)", values["email"], customer_id
    ):
        return False
    for name, value in values.items():
        await connection.execute(f'UPDATE customers SET "{name}" = $2 WHERE id = $1', customer_id, value)
    return True
