"""Submitting drafts that were just made, all in a few statements; nothing of them can be stale (B5)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from billing.bills import callers
from billing.bills.approvals import Review
from billing.bills.callers import Caller
from billing.bills.moves import MoveRefused, Moving, moved
from billing.bills.states import Move, State
from billing.webhooks.events import Event
from db.bills import bill_events, history, reviews
from db.bills.drafts import Draft
from db.bills.mail import notices
from db.bills.moves import Asked, Mover
from db.bills.moves import move as move_one
from db.core.unit_of_work import UnitOfWork


class Submitted(NamedTuple):
    """Where a bill stands, and why it is no further."""

    state: State
    note: str | None = None


async def submit_all(uow: UnitOfWork, drafts: Mapping[UUID, Draft], period: int) -> dict[UUID, Submitted]:
    """Submit the drafts of partners, whose locks are held, as a run does; one that cannot be stays a draft."""
    connection, now = uow.connection, datetime.now(UTC)
    agreed = await reviews.terms_of_today_of(connection, drafts)
    by_people = await _entered_by_people(connection, list(drafts), period)
    people: dict[UUID | None, list[Caller]] = {}
    results: dict[UUID, Submitted] = {}
    submitted: list[tuple[Draft, Moving, UUID | None]] = []
    for partner_id, draft in drafts.items():
        terms = agreed[partner_id]
        try:
            if partner_id in by_people:
                bill = await move_one(uow, draft.bill_id, Asked(Move.SUBMIT, draft.digest), Mover(), now)
                assert bill is not None
                results[partner_id] = Submitted(bill.head.state)
                continue
            if terms.csm_id not in people:
                people[terms.csm_id] = await reviews.active_people(connection, terms.csm_id)
            places = reviews.asked_by(terms, draft.totals.gross_minor)
            before = Moving(State.DRAFT, draft.digest, Review())
            after = moved(before, Move.SUBMIT, callers.SYSTEM, draft.digest, None, places, people[terms.csm_id])
        except MoveRefused as refused:
            results[partner_id] = Submitted(State.DRAFT, str(refused))
        else:
            assert after.state is not None
            results[partner_id] = Submitted(after.state)
            submitted.append((draft, after, terms.csm_id))
    await _write(uow, submitted)
    return results


async def _write(uow: UnitOfWork, submitted: Sequence[tuple[Draft, Moving, UUID | None]]) -> None:
    connection = uow.connection
    alike: dict[tuple[Any, ...], list[UUID]] = {}
    for draft, after, csm_id in submitted:
        alike.setdefault((after.state, after.review.asked, csm_id), []).append(draft.bill_id)
    for reviewed, bill_ids in alike.items():
        await connection.execute(
            "UPDATE bills SET state = $1, asked = $2, csm_id = $3 WHERE id = ANY($4::uuid[])", *reviewed, bill_ids
        )
    moves = [
        (draft.bill_id, State.DRAFT, after.state or State.DRAFT, draft.digest, None) for draft, after, _ in submitted
    ]
    await history.add_all(connection, uow.actor, Move.SUBMIT, moves)
    changes = [
        (draft.bill_id, {"state": State.DRAFT}, {"state": after.state, "digest": draft.digest})
        for draft, after, _ in submitted
    ]
    await uow.audit_all(f"bill.{Move.SUBMIT}", changes)
    pending = [draft.bill_id for draft, after, _ in submitted if after.state is State.PENDING]
    approved = [draft.bill_id for draft, after, _ in submitted if after.state is State.APPROVED]
    await notices.note(connection, pending)
    await bill_events.tell_all_moved(uow, Event.BILL_PENDING, pending)
    await bill_events.tell_all_moved(uow, Event.BILL_APPROVED, approved)


async def _entered_by_people(connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int) -> set[UUID]:
    """The partners of whose bill somebody entered usage or an adjustment, and so does not approve it."""
    rows = await connection.fetch(
        """
        SELECT partner_id FROM usage WHERE partner_id = ANY($1::uuid[]) AND period = $2
        UNION SELECT partner_id FROM adjustments WHERE partner_id = ANY($1::uuid[]) AND period = $2
        """,
        partner_ids,
        period,
    )
    return {row["partner_id"] for row in rows}
