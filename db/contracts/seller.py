"""The seller: who the bills of this installation are from."""

from dataclasses import asdict, dataclass

import asyncpg

from db.core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Seller:
    """The seller as bills name it; `small_amount_minor`, in each partner's currency, is the most Finance writes off."""

    name: str
    address: str | None = None
    tax_id: str | None = None
    iban: str | None = None
    small_amount_minor: int | None = None


async def read(connection: asyncpg.Connection) -> Seller | None:
    """The seller; None until somebody has named one."""
    row = await connection.fetchrow("SELECT name, address, tax_id, iban, small_amount_minor FROM seller")
    return Seller(**row) if row else None


async def write(uow: UnitOfWork, seller: Seller) -> None:
    """Name the seller, all of it; bills that were made before keep theirs until they are made anew (B3)."""
    before = await read(uow.connection)
    await uow.connection.execute(
        """
        INSERT INTO seller (name, address, tax_id, iban, small_amount_minor) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (only_one) DO UPDATE SET name = excluded.name, address = excluded.address,
            tax_id = excluded.tax_id, iban = excluded.iban, small_amount_minor = excluded.small_amount_minor
        """,
        seller.name,
        seller.address,
        seller.tax_id,
        seller.iban,
        seller.small_amount_minor,
    )
    await uow.audit("seller.changed", "seller", before=asdict(before) if before else None, after=asdict(seller))
