"""Booking on an account (B9), under the lock of the partner's bills: credit is used at once, and when it is freed."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from uuid import UUID, uuid4

import asyncpg

from billing.bills.account import EntryKind, Use, check_refund
from billing.zones import zone
from db.account import entries, open_items
from db.account.entries import AccountEntry, NewEntry
from db.core.unit_of_work import UnitOfWork


async def book(uow: UnitOfWork, partner_id: UUID, entry: NewEntry, now: datetime) -> list[Use] | None:
    """Book an entry and use credit; the uses that came of it, None if the id is taken and nothing was booked.

    A credit note or a write-off is used for its own bill first, a payment for what it names. RuleViolation for a
    refund of more than is left, and for naming more than is open or left.
    """
    connection = uow.connection
    booked_on = await booking_day(connection, partner_id, now)
    items = await open_items.read(connection, partner_id, [entry.bill_id] if entry.bill_id else [])
    if entry.kind is EntryKind.REFUND:
        check_refund(entry.amount_minor, list(items.charges.values()), list(items.credits_left.values()))
    position = await entries.insert(connection, uow.actor, partner_id, entry, booked_on)
    if position is None:
        return None
    rest = abs(entry.amount_minor)
    items.add(open_items.item(entry.id, entry.amount_minor, entry.due_on or booked_on, position, rest))
    await open_items.add(connection, [(partner_id, entry.id, rest)])
    if entry.amount_minor < 0:
        items.use_named(entry.id, entry.named)
        if entry.bill_id not in (None, entry.id):
            items.use_for_own(entry.id, entry.bill_id)
    items.settle()
    await open_items.write(connection, items.uses, booked_on)
    return items.uses


async def book_bills(uow: UnitOfWork, entries_of: Mapping[UUID, NewEntry], now: datetime) -> None:
    """Book a new bill of each partner that has no credit left, so that nothing comes of it."""
    days = await booking_days(uow.connection, entries_of, now)
    await entries.insert_all(uow.connection, uow.actor, [(of, entry, days[of]) for of, entry in entries_of.items()])
    await open_items.add(uow.connection, [(of, entry.id, entry.amount_minor) for of, entry in entries_of.items()])


async def allocate(uow: UnitOfWork, payment: AccountEntry, named: Mapping[UUID, int], now: datetime) -> list[Use]:
    """Use a payment for what is named now, and the rest of it as any credit; the uses that came of it."""
    connection, entry_id = uow.connection, payment.entry.id
    before = await open_items.uses_of(connection, entry_id)
    items = await open_items.read(connection, payment.partner_id, {entry_id, *(use.charge for use in before)})
    items.free(before)
    items.use_named(entry_id, named)
    items.settle()
    await open_items.write(connection, items.uses, await booking_day(connection, payment.partner_id, now))
    return items.uses


async def reverse(uow: UnitOfWork, entry: AccountEntry, reason: str, now: datetime) -> list[Use]:
    """Take an entry back that stands: its uses are freed, and freed credit is used; the uses that came of it."""
    connection, entry_id, partner_id = uow.connection, entry.entry.id, entry.partner_id
    booked_on = await booking_day(connection, partner_id, now)
    before = await open_items.uses_of(connection, entry_id)
    others = {each for use in before for each in (use.credit, use.charge)}
    items = await open_items.read(connection, partner_id, {entry_id, *others})
    mirror = NewEntry(
        id=uuid4(),
        kind=EntryKind.REVERSAL,
        amount_minor=-entry.entry.amount_minor,
        document=entry.entry.document,
        reverses_id=entry_id,
        reason=reason,
    )
    await entries.insert(connection, uow.actor, partner_id, mirror, booked_on)
    items.free(before)
    items.take_out(entry_id)
    items.settle()
    await open_items.write(connection, items.uses, booked_on)
    await open_items.clear(connection, entry_id)
    return items.uses


async def settle(uow: UnitOfWork, partner_id: UUID, now: datetime) -> list[Use]:
    """Use what is left of credits, as when a dispute has ended; the uses that came of it."""
    items = await open_items.read(uow.connection, partner_id)
    items.settle()
    await open_items.write(uow.connection, items.uses, await booking_day(uow.connection, partner_id, now))
    return items.uses


async def booking_day(connection: asyncpg.Connection, partner_id: UUID, now: datetime) -> date:
    """The day in the partner's time zone, and never before that of the last entry, so that the past never changes."""
    return (await booking_days(connection, [partner_id], now))[partner_id]


async def booking_days(connection: asyncpg.Connection, partner_ids: Iterable[UUID], now: datetime) -> dict[UUID, date]:
    """The same of each partner."""
    today = await days_at(connection, partner_ids, now)
    rows = await connection.fetch(
        """
        SELECT id, (SELECT max(booked_on) FROM account_entries WHERE partner_id = id) AS last
        FROM unnest($1::uuid[]) AS id
        """,
        list(today),
    )
    return {row["id"]: max(today[row["id"]], row["last"] or today[row["id"]]) for row in rows}


async def day_at(connection: asyncpg.Connection, partner_id: UUID, now: datetime) -> date:
    """The day of an instant in the partner's time zone."""
    return (await days_at(connection, [partner_id], now))[partner_id]


async def days_at(connection: asyncpg.Connection, partner_ids: Iterable[UUID], now: datetime) -> dict[UUID, date]:
    """The same of each partner."""
    rows = await connection.fetch(
        """
        SELECT id, (
            SELECT timezone FROM partner_time_zones WHERE partner_id = id AND from_period <= $2
            ORDER BY from_period DESC LIMIT 1
        ) AS timezone
        FROM unnest($1::uuid[]) AS id
        """,
        list(partner_ids),
        now.year * 100 + now.month,
    )
    return {row["id"]: now.astimezone(zone(row["timezone"])).date() for row in rows}
