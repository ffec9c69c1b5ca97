"""Moving a bill (B5, B6): one transaction under the lock of the partner's bills, with its line in the history."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.bills.callers import Caller
from billing.bills.differences import Difference, first_difference
from billing.bills.digest import digest_of
from billing.bills.history import is_repeated
from billing.bills.moves import Moving, moved, open_moves
from billing.bills.states import Move, State
from billing.bills.values import Content
from billing.bills.wire import json_from_content
from billing.errors import RuleViolation
from billing.roles import Role
from db.bills import bill_events, conservation, credit_notes, facts, history, issuing, records, reviews
from db.bills.mail import notices
from db.bills.records import Bill, BillHead
from db.core import locks
from db.core.actor import Actor
from db.core.unit_of_work import UnitOfWork

_TOLD = {(Move.SUBMIT, State.PENDING), (Move.REJECT, State.REJECTED), (Move.APPROVE, State.APPROVED)}
"""Moves after which a bill waits for somebody else, who is told."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A move that somebody asks for; `digest` is that of the bill as they saw it, `comment` also the reason."""

    move: Move
    digest: str
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Mover:
    """Who asks: the person behind it, who is signed in or made the key, and the role that counts for it."""

    person: UUID | None = None
    role: Role | None = None


class StaleBill(RuleViolation):
    """A bill whose figures are not what holds now: the first difference. It is refreshed first (B3)."""

    def __init__(self, difference: Difference) -> None:
        self.difference = difference
        said = difference.sentence("on the bill", "now")
        super().__init__(f"The bill is stale, because {said}; recall and refresh it first.")


async def move(uow: UnitOfWork, bill_id: UUID, asked: Asked, mover: Mover, now: datetime) -> Bill | None:
    """Make a move, and return the bill after it; None if there is no such bill.

    The same move again by the same actor changes nothing (B6). Raises MoveRefused for one that is not open, StaleBill
    or NotConserved for submitting or issuing what does not hold, InvalidValue for one without the reason that it needs.
    """
    connection = uow.connection
    partner_id = await records.partner_of(connection, bill_id)
    if partner_id is None:
        return None
    await locks.lock_bills_exclusive(connection, partner_id)
    bill = await records.read(connection, bill_id)
    assert bill is not None
    if await _is_repeated(uow, bill.head, asked):
        return bill
    await _make(uow, bill, asked, mover, now)
    after = await records.read(connection, bill_id)
    assert after is not None
    await bill_events.tell_moved(uow, bill.head.state, after.head)
    return after


async def open_to(connection: asyncpg.Connection, head: BillHead, actor: Actor, mover: Mover) -> list[Move]:
    """The moves of a bill that are open to somebody now."""
    caller = await reviews.caller(connection, actor, mover.person, mover.role, head)
    return open_moves(await _moving(connection, head), caller)


async def _make(uow: UnitOfWork, bill: Bill, asked: Asked, mover: Mover, now: datetime) -> None:
    connection, head = uow.connection, bill.head
    before = await _moving(connection, head)
    caller = await reviews.caller(connection, uow.actor, mover.person, mover.role, head)
    digest = head.digest
    if asked.move is Move.SUBMIT:
        after = await _submitted(connection, bill, before, caller, asked, now)
    else:
        after = moved(before, asked.move, caller, asked.digest, asked.comment)
    if asked.move is Move.REFRESH:
        content = await _content_now(connection, bill)
        await records.write_content(connection, head.id, content)
        digest = digest_of(content)
    elif asked.move is Move.ISSUE:
        await _check_fresh(connection, bill)
        await issuing.issue(uow, bill, now)
    assert after.state is not None
    await reviews.write(connection, head.id, before.review, after.review)
    if after.review.asked != before.review.asked and asked.move is not Move.SUBMIT:
        await records.write_review(connection, head.id, after.review.asked, head.csm_id)
    if asked.move is not Move.ISSUE:
        await records.write_state(connection, head.id, after.state)
    await history.add(connection, head.id, uow.actor, asked.move, head.state, after.state, digest, asked.comment)
    if (asked.move, after.state) in _TOLD:
        await notices.note(connection, [head.id])
    facts_after = {"state": after.state, "digest": digest}
    await uow.audit(f"bill.{asked.move}", head.id, before={"state": head.state}, after=facts_after)


async def _submitted(
    connection: asyncpg.Connection, bill: Bill, before: Moving, caller: Caller, asked: Asked, now: datetime
) -> Moving:
    """The bill once it is submitted, with the approvals that the terms of today ask for (B5)."""
    head = bill.head
    terms = await reviews.terms_of_today(connection, head.partner_id, now)
    places = reviews.asked_by(terms, head.totals.gross_minor)
    people = await reviews.active_people(connection, terms.csm_id)
    after = moved(before, asked.move, caller, asked.digest, asked.comment, places, people)
    await _check_fresh(connection, bill)
    await records.write_review(connection, head.id, places, terms.csm_id)
    return after


async def _moving(connection: asyncpg.Connection, head: BillHead) -> Moving:
    terms = await reviews.terms_of_today(connection, head.partner_id)
    return Moving(
        state=head.state,
        digest=head.digest,
        review=await reviews.read(connection, head),
        auto_issue=terms.preferences.auto_issue,
        moved_by=await history.last_mover(connection, head.id),
    )


async def _check_fresh(connection: asyncpg.Connection, bill: Bill) -> None:
    """StaleBill with the first difference to what holds now; NotConserved if that is not what the ledger says."""
    now = await _content_now(connection, bill)
    difference = first_difference(json_from_content(bill.content), json_from_content(now))
    if difference:
        raise StaleBill(difference)
    await conservation.check(connection, bill)


async def _content_now(connection: asyncpg.Connection, bill: Bill) -> Content:
    if bill.content.noted is not None:
        return await credit_notes.content_now(connection, bill)
    return await facts.content_now(connection, bill.head.partner_id, bill.head.period)


async def _is_repeated(uow: UnitOfWork, head: BillHead, asked: Asked) -> bool:
    newest = await history.newest(uow.connection, head.id, Move)
    return is_repeated(
        (history.made(Move(each.move), each.who, each.digest) for each in newest),
        history.made(asked.move, uow.actor, asked.digest),
    )
