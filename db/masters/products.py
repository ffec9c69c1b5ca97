"""Products: each belongs to one partner for ever."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from db.core.row_keys import product_uuid
from db.core.unit_of_work import UnitOfWork
from db.tasks.notifications import RETRY_QUARANTINE


@dataclass(frozen=True, slots=True)
class Product:
    """A product; `partner` is the external id of the partner."""

    id: UUID
    external_id: str
    partner_id: UUID
    partner: str
    name: str
    description: str | None
    created_at: datetime


_PRODUCTS = """
    SELECT products.*, partners.external_id AS partner FROM products JOIN partners ON partners.id = partner_id
"""


async def exists(connection: asyncpg.Connection, product_id: UUID) -> bool:
    """Whether there is such a product."""
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM products WHERE id = $1)", product_id)
    return found


async def partners_of(connection: asyncpg.Connection, product_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The partner of each product that exists."""
    rows = await connection.fetch("SELECT id, partner_id FROM products WHERE id = ANY($1::uuid[])", list(product_ids))
    return {row["id"]: row["partner_id"] for row in rows}


async def read(connection: asyncpg.Connection, product_id: UUID) -> Product:
    """An existing product."""
    row = await connection.fetchrow(f"{_PRODUCTS} WHERE products.id = $1", product_id)
    assert row is not None
    return product_from_row(row)


async def find_by_name(
    connection: asyncpg.Connection, text: str, *, partner_id: UUID | None, limit: int
) -> list[Product]:
    """Products of a name, whatever its case, of everybody or of one partner."""
    rows = await connection.fetch(
        f"""
        {_PRODUCTS} WHERE lower(products.name) = lower($1) AND ($2::uuid IS NULL OR partner_id = $2)
        ORDER BY products.external_id LIMIT $3
        """,
        text,
        partner_id,
        limit,
    )
    return [product_from_row(row) for row in rows]


async def read_page(
    connection: asyncpg.Connection, *, after: str | None, limit: int, partner_id: UUID | None = None
) -> list[Product]:
    """Products by external id, of all partners or of one."""
    rows = await connection.fetch(
        f"""
        {_PRODUCTS}
        WHERE ($1::text IS NULL OR products.external_id > $1) AND ($3::uuid IS NULL OR products.partner_id = $3)
        ORDER BY products.external_id LIMIT $2
        """,
        after,
        limit,
        partner_id,
    )
    return [product_from_row(row) for row in rows]


def product_from_row(row: asyncpg.Record) -> Product:
    """A row of products with the external id of its partner."""
    return Product(
        id=row["id"],
        external_id=row["external_id"],
        partner_id=row["partner_id"],
        partner=row["partner"],
        name=row["name"],
        description=row["description"],
        created_at=row["created_at"],
    )


async def create(
    uow: UnitOfWork, external_id: str, partner_id: UUID, fields: Mapping[str, str | None]
) -> tuple[Product, bool]:
    """Create a product of a partner and announce it to the quarantine (R12); returns it, and whether it is new.

    `fields` are name and, if it was given, description. RuleViolation if the id is taken by a product that differs.
    """
    product_id = product_uuid(external_id)
    status = await uow.connection.execute(
        """
        INSERT INTO products (id, external_id, partner_id, name, description) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING
        """,
        product_id,
        external_id,
        partner_id,
        fields["name"],
        fields.get("description"),
    )
    product = await read(uow.connection, product_id)
    if status == "INSERT 0 1":
        await uow.audit("product.created", product_id, after={"external_id": external_id, "partner_id": partner_id})
        uow.notify(RETRY_QUARANTINE, str(product_id))
        return product, True
    differing = [name for name in ("name", "description") if name in fields and getattr(product, name) != fields[name]]
    if product.partner_id != partner_id or differing:
        raise RuleViolation(f"Product {external_id!r} exists with another {(differing or ['partner'])[0]}.")
    return product, False


async def change(uow: UnitOfWork, product_id: UUID, fields: Mapping[str, str | None]) -> Product:
    """Change name or description; its partner never changes."""
    stored = await read(uow.connection, product_id)
    await uow.audit(
        "product.changed", product_id, before={name: getattr(stored, name) for name in fields}, after=fields
    )
    for name, value in fields.items():
        await uow.connection.execute(f'UPDATE products SET "{name}" = $2 WHERE id = $1', product_id, value)  # noqa: S608 - callers name columns only: name, description
    return await read(uow.connection, product_id)
