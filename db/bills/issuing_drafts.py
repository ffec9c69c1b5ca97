"""Issuing bills that were just made and approved, all in a few statements; nothing of them can be stale (B7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import asyncpg

from billing.bills.account import EntryKind
from billing.bills.issuing import due_date, issue_date, missing_in_blocks
from billing.bills.states import Move, State
from billing.bills.values import Issue
from billing.periods import periods_between, previous_period
from billing.webhooks.events import Event
from db.account import booking
from db.account.entries import NewEntry
from db.bills import bill_events, conservation, history, numbers, proofs, records
from db.bills.drafts import Draft
from db.bills.files import stored
from db.contracts import billing_settings, reading
from db.core.unit_of_work import UnitOfWork
from db.tasks import records as tasks


@dataclass(frozen=True, slots=True)
class _Standing:
    """What issuing a bill depends on; `unissued_before` counts the earlier periods without an issued one."""

    external_id: str
    timezone: str
    last_issued_on: date | None
    unissued_before: int
    has_credit: bool


async def issue_all(uow: UnitOfWork, drafts: Mapping[UUID, Draft], period: int, now: datetime) -> set[UUID]:
    """Issue approved bills of partners whose locks are held, as a run may; returns whose bill that was.

    The others need a closer look, see `db.bills.moves.move`: something of them cannot be issued yet or is refused, or
    credit is used.
    """
    connection = uow.connection
    standing = await _standing(connection, list(drafts), period, now)
    wrong = await conservation.differences(connection, {of: each.content.lines for of, each in drafts.items()}, period)
    plain = {
        of: draft
        for of, draft in drafts.items()
        if not wrong[of] and _is_plain(draft) and not standing[of].has_credit and standing[of].unissued_before == 0
    }
    if plain:
        await _issue(uow, plain, standing, period, now)
    return set(plain)


def _is_plain(draft: Draft) -> bool:
    corrects = any(line.corrects is not None for line in draft.content.lines)
    return draft.totals.gross_minor > 0 and not corrects and not missing_in_blocks(draft.content)


async def _issue(
    uow: UnitOfWork, drafts: Mapping[UUID, Draft], standing: Mapping[UUID, _Standing], period: int, now: datetime
) -> None:
    connection = uow.connection
    contracts = await reading.read_many(connection, list(drafts), period)
    taken = await numbers.take_all(connection, {of: standing[of].external_id for of in drafts}, EntryKind.BILL.value)
    issues = {}
    for of, draft in drafts.items():
        preferences = contracts[of].terms.preferences
        issued_on = issue_date(now, standing[of].timezone, standing[of].last_issued_on)
        due_on = due_date(issued_on, draft.content.terms.payment_days)
        issues[of] = Issue(taken[of], issued_on, due_on, {}, 0, preferences.language, preferences.paper)
    entries = {of: _entry(draft, issues[of]) for of, draft in drafts.items()}
    await booking.book_bills(uow, entries, now)
    await records.write_issues(connection, [(draft, issues[of]) for of, draft in drafts.items()])
    await _tell(uow, drafts)


def _entry(draft: Draft, issue: Issue) -> NewEntry:
    amount_minor = draft.totals.gross_minor
    return NewEntry(draft.bill_id, EntryKind.BILL, amount_minor, issue.number, issue.due_on, bill_id=draft.bill_id)


async def _tell(uow: UnitOfWork, drafts: Mapping[UUID, Draft]) -> None:
    """What follows: the history, the audit, proofs, files and webhooks."""
    connection, before, after = uow.connection, State.APPROVED, State.ISSUED
    made = drafts.values()
    await history.add_all(connection, uow.actor, Move.ISSUE, [(d.bill_id, before, after, d.digest, None) for d in made])
    changes = [(each.bill_id, {"state": before}, {"state": after, "digest": each.digest}) for each in made]
    await uow.audit_all(f"bill.{Move.ISSUE}", changes)
    await proofs.expect(connection, [each.bill_id for each in made])
    asked = {str(each.bill_id): {"bill_id": each.bill_id, "partner_id": of} for of, each in drafts.items()}
    await tasks.start_all(uow, stored.MAKE, asked)
    await bill_events.tell_all_moved(uow, Event.BILL_ISSUED, [each.bill_id for each in made])


async def _standing(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int, now: datetime
) -> dict[UUID, _Standing]:
    first = await billing_settings.first_billed_periods(connection, partner_ids)
    rows = await connection.fetch(
        """
        SELECT partners.id, external_id, (
            SELECT timezone FROM partner_time_zones WHERE partner_id = partners.id AND from_period <= $3
            ORDER BY from_period DESC LIMIT 1
        ) AS timezone, (SELECT max(issued_on) FROM bills WHERE partner_id = partners.id) AS last_issued_on, (
            SELECT count(*) FROM bills WHERE partner_id = partners.id AND period >= first AND period < $4
                AND corrects_id IS NULL AND state = 'issued'
        ) AS issued_before, EXISTS (
            SELECT FROM account_rests JOIN account_entries ON account_entries.id = entry_id
            WHERE account_rests.partner_id = partners.id AND rest_minor > 0 AND amount_minor < 0
        ) AS has_credit
        FROM unnest($1::uuid[], $2::int[]) AS wanted (id, first) JOIN partners USING (id)
        """,
        partner_ids,
        [first[partner_id] or period for partner_id in partner_ids],
        now.year * 100 + now.month,
        period,
    )
    standing = {}
    for row in rows:
        before = len(list(periods_between(first[row["id"]] or period, previous_period(period))))
        standing[row["id"]] = _Standing(
            row["external_id"], row["timezone"], row["last_issued_on"], before - row["issued_before"], row["has_credit"]
        )
    return standing
