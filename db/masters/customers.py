"""Customers: whom a customer id means (R12), which is a person, or an alias of one with the same e-mail."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.errors import InvalidValue, RuleViolation
from billing.leads import Person
from db.core import locks
from db.core.row_keys import customer_uuid
from db.core.unit_of_work import UnitOfWork
from db.masters.emails import email_from_wire
from db.tasks.notifications import RETRY_QUARANTINE

_STAYS_ERASED = "This customer was erased, and stays so; a person who comes back gets another id."


@dataclass(frozen=True, slots=True)
class Customer:
    """A person; `aliases` are the other external ids that mean them."""

    id: UUID
    external_id: str
    name: str
    email: str
    aliases: list[str]
    created_at: datetime


async def resolve(connection: asyncpg.Connection, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The customer that each known customer id or alias means."""
    known, _ = await resolve_with_erased(connection, ids)
    return known


async def resolve_with_erased(
    connection: asyncpg.Connection, ids: Iterable[UUID]
) -> tuple[dict[UUID, UUID], set[UUID]]:
    """The customer that each known customer id or alias means; and which of these customers were erased."""
    rows = await connection.fetch(
        """
        SELECT known.*, EXISTS (
            SELECT FROM erased_customers WHERE erased_customers.customer_id = known.customer_id
        ) AS is_erased
        FROM (
            SELECT id, id AS customer_id FROM customers WHERE id = ANY($1::uuid[])
            UNION ALL
            SELECT id, customer_id FROM customer_aliases WHERE id = ANY($1::uuid[])
        ) AS known
        """,
        list(ids),
    )
    return {row["id"]: row["customer_id"] for row in rows}, {row["customer_id"] for row in rows if row["is_erased"]}


async def is_erased(connection: asyncpg.Connection, customer_id: UUID) -> bool:
    """Whether the person was erased."""
    erased: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM erased_customers WHERE customer_id = $1)", customer_id
    )
    return erased


@dataclass(slots=True)
class Described:
    """What people that leads describe come to: whom each id means, and the rows of those who are not on record yet."""

    meant: dict[UUID, UUID]
    customers: list[tuple[UUID, str, str, str]] = field(default_factory=list)
    """(id, external id, name, e-mail)"""
    aliases: list[tuple[UUID, str, UUID]] = field(default_factory=list)


async def ensure(connection: asyncpg.Connection, people: Mapping[str, Person]) -> dict[UUID, UUID]:
    """Create the people that leads describe, by the customer's external id; returns the customer that each id means.

    A known id stays as it is; an unknown id with a known e-mail becomes an alias of that person. Call it in a
    transaction of its own, because it locks out all who create people until the end.
    """
    await locks.lock_people_exclusive(connection)
    described = await foresee(connection, people)
    if described.customers:
        await connection.copy_records_to_table(
            "customers", records=described.customers, columns=["id", "external_id", "name", "email"]
        )
    if described.aliases:
        await connection.copy_records_to_table(
            "customer_aliases", records=described.aliases, columns=["id", "external_id", "customer_id"]
        )
    return described.meant


async def foresee(connection: asyncpg.Connection, people: Mapping[str, Person]) -> Described:
    """What `ensure` comes to, without creating anybody."""
    known = await resolve(connection, map(customer_uuid, people))
    described = Described(known)
    unknown = {external_id: person for external_id, person in people.items() if customer_uuid(external_id) not in known}
    if not unknown:
        return described
    by_email = {
        row["email"]: row["id"]
        for row in await connection.fetch(
            "SELECT id, email FROM customers WHERE email = ANY($1::text[])",
            [person.email for person in unknown.values()],
        )
    }
    for external_id, person in unknown.items():
        row_id = customer_uuid(external_id)
        if row_id in known:  # two spellings of one UUID
            continue
        if person.email in by_email:
            described.aliases.append((row_id, external_id, by_email[person.email]))
        else:
            described.customers.append((row_id, external_id, person.name, person.email))
            by_email[person.email] = row_id
        known[row_id] = by_email[person.email]
    return described


_CUSTOMERS = """
    SELECT customers.*, ARRAY(
        SELECT external_id FROM customer_aliases WHERE customer_id = customers.id ORDER BY external_id
    ) AS aliases
    FROM customers
"""


async def read(connection: asyncpg.Connection, customer_id: UUID) -> Customer:
    """An existing customer."""
    row = await connection.fetchrow(f"{_CUSTOMERS} WHERE id = $1", customer_id)
    assert row is not None
    return customer_from_row(row)


async def find_by_email(connection: asyncpg.Connection, text: str) -> UUID | None:
    """The customer with an e-mail, as R1 compares them; None if there is none, or the text is no e-mail."""
    try:
        email = email_from_wire(text)
    except InvalidValue:
        return None
    found: UUID | None = await connection.fetchval("SELECT id FROM customers WHERE email = $1", email)
    return found


async def find_by_name(connection: asyncpg.Connection, text: str, *, limit: int) -> list[Customer]:
    """Customers of a name, whatever its case."""
    rows = await connection.fetch(
        f"{_CUSTOMERS} WHERE lower(name) = lower($1) ORDER BY external_id LIMIT $2", text, limit
    )
    return [customer_from_row(row) for row in rows]


async def read_page(connection: asyncpg.Connection, *, after: str | None, limit: int) -> list[Customer]:
    """Customers by external id."""
    rows = await connection.fetch(
        f"{_CUSTOMERS} WHERE $1::text IS NULL OR external_id > $1 ORDER BY external_id LIMIT $2",
        after,
        limit,
    )
    return [customer_from_row(row) for row in rows]


def customer_from_row(row: asyncpg.Record) -> Customer:
    """A row of customers with the aliases."""
    return Customer(
        id=row["id"],
        external_id=row["external_id"],
        name=row["name"],
        email=row["email"],
        aliases=row["aliases"],
        created_at=row["created_at"],
    )


async def create(uow: UnitOfWork, external_id: str, person: Person) -> tuple[Customer, bool]:
    """Create a customer, or make the id an alias of the person with this e-mail; returns it, and whether it is new.

    Announces a new id to the quarantine (R12). RuleViolation if the id is known and means somebody else.
    """
    await locks.lock_people_exclusive(uow.connection)
    row_id = customer_uuid(external_id)
    known = row_id in await resolve(uow.connection, [row_id])
    customer_id = (await ensure(uow.connection, {external_id: person}))[row_id]
    customer = await read(uow.connection, customer_id)
    is_alias = customer_id != row_id
    if not known:
        await uow.audit("customer.created", row_id, after={"customer_id": customer_id})
        uow.notify(RETRY_QUARANTINE, str(row_id))
        return customer, not is_alias
    if await is_erased(uow.connection, customer_id):
        raise RuleViolation(_STAYS_ERASED)
    for name in ("email",) if is_alias else ("name", "email"):
        if getattr(person, name) != getattr(customer, name):
            raise RuleViolation(f"Customer {external_id!r} exists with another {name}.")
    return customer, False


async def change(uow: UnitOfWork, customer_id: UUID, fields: Mapping[str, str]) -> Customer:
    """Change name or e-mail. RuleViolation if the e-mail is another person's or the person was erased."""
    connection = uow.connection
    await locks.lock_people_exclusive(connection)
    if await is_erased(connection, customer_id):
        raise RuleViolation(_STAYS_ERASED)
    if "email" in fields and await connection.fetchval(
        "SELECT EXISTS (SELECT FROM customers WHERE email = $1 AND id <> $2)", fields["email"], customer_id
    ):
        raise RuleViolation(f"Another customer has the e-mail {fields['email']!r}.")
    await uow.audit("customer.changed", customer_id, after={"fields": sorted(fields)})  # the values name a person
    for name, value in fields.items():
        await connection.execute(f'UPDATE customers SET "{name}" = $2 WHERE id = $1', customer_id, value)  # noqa: S608 - callers name columns only: name, email
    return await read(connection, customer_id)
