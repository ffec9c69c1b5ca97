"""Returning actions, asking for that, and deciding what was asked (B8), under the lock of the partner's bills."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.bills.return_reasons import ReturnReason, listed_reason
from billing.errors import RuleViolation
from db.bills import return_records, returns
from db.bills.mail import return_notices
from db.bills.return_records import Decision, ReturnState
from db.contracts import billing_terms
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.ledger import holds, reading
from db.ledger.policies import Policies


@dataclass(frozen=True, slots=True)
class Returned:
    """What became of the return of an action, with what there is to say about it."""

    action_id: UUID
    state: ReturnState
    detail: str | None = None


async def return_action(
    uow: UnitOfWork, policies: Policies, action_id: UUID, given: ReturnReason, now: datetime
) -> Returned:
    """Return an action, which also accepts what was asked; once more changes nothing.

    RuleViolation if its bill refuses that (`db.bills.returns`), LookupError without such an action.
    """
    connection = uow.connection
    reason = await _lock_and_list(connection, action_id, given)
    if await return_records.is_returned(connection, action_id):
        return Returned(action_id, ReturnState.RETURNED, "It was returned before.")
    await returns.check(connection, policies, action_id, now)
    await holds.return_action(uow, policies, action_id, str(reason))
    if (asked := await return_records.read(connection, action_id)) is None or asked.state is ReturnState.RETURNED:
        await return_records.ask(connection, action_id, reason, uow.actor, now)
        answer = None
    else:
        answer = str(reason)
    await return_records.decide(connection, action_id, Decision(ReturnState.RETURNED, uow.actor, now, answer))
    return Returned(action_id, ReturnState.RETURNED)


async def ask(uow: UnitOfWork, policies: Policies, action_id: UUID, given: ReturnReason, now: datetime) -> Returned:
    """Ask Finance to return an action; once more changes nothing, and what was refused stays so. Errors as above."""
    connection = uow.connection
    reason = await _lock_and_list(connection, action_id, given)
    if await return_records.is_returned(connection, action_id):
        return Returned(action_id, ReturnState.RETURNED, "It was returned before.")
    asked = await return_records.read(connection, action_id)
    if asked is not None and asked.state is not ReturnState.RETURNED:
        return Returned(action_id, asked.state, asked.answer)
    await returns.check(connection, policies, action_id, now)
    await return_records.ask(connection, action_id, reason, uow.actor, now)
    await return_notices.note(connection, action_id)
    await uow.audit("return.asked", action_id, after={"reason": reason.reason, "text": reason.text})
    return Returned(action_id, ReturnState.ASKED)


async def accept(uow: UnitOfWork, policies: Policies, action_id: UUID, answer: str, now: datetime) -> Returned:
    """Return an action as it was asked, also if that was refused before. The days for returns count until it was asked.

    What its bill refuses stays as it was, and the detail says why. LookupError if nobody asked.
    """
    connection = uow.connection
    await _lock(connection, action_id)
    asked = await return_records.read(connection, action_id)
    if asked is None:
        raise LookupError(action_id)
    if asked.state is ReturnState.RETURNED:  # it may be released since, and is not returned once more
        return Returned(action_id, ReturnState.RETURNED, "It was returned before.")
    if not await return_records.is_returned(connection, action_id):
        try:
            async with connection.transaction():
                await returns.check(connection, policies, action_id, asked.asked_at)
                await holds.return_action(uow, policies, action_id, str(asked.reason))
        except RuleViolation as refused:
            return Returned(action_id, asked.state, str(refused))
    await return_records.decide(connection, action_id, Decision(ReturnState.RETURNED, uow.actor, now, answer))
    await uow.audit("return.accepted", action_id, after={"reason": answer})
    return Returned(action_id, ReturnState.RETURNED)


async def refuse(uow: UnitOfWork, action_id: UUID, answer: str, now: datetime) -> Returned:
    """Refuse what was asked; once more changes nothing, nor once it was returned. LookupError if nobody asked."""
    connection = uow.connection
    await _lock(connection, action_id)
    asked = await return_records.read(connection, action_id)
    if asked is None:
        raise LookupError(action_id)
    if asked.state is ReturnState.REFUSED:
        return Returned(action_id, ReturnState.REFUSED, asked.answer)
    if asked.state is ReturnState.RETURNED or await return_records.is_returned(connection, action_id):
        return Returned(action_id, ReturnState.RETURNED, "It was returned; there is nothing left to refuse.")
    await return_records.decide(connection, action_id, Decision(ReturnState.REFUSED, uow.actor, now, answer))
    await uow.audit("return.refused", action_id, after={"reason": answer})
    return Returned(action_id, ReturnState.REFUSED, answer)


async def _lock_and_list(connection: asyncpg.Connection, action_id: UUID, given: ReturnReason) -> ReturnReason:
    """The reason as the partner's terms list it today; the partner's bills are locked."""
    partner_id = await _lock(connection, action_id)
    newest = await billing_terms.read_newest(connection, [partner_id])
    return listed_reason(given, newest[partner_id][1].return_reasons if partner_id in newest else ())


async def _lock(connection: asyncpg.Connection, action_id: UUID) -> UUID:
    """Be the only one who decides about returns of the action's partner, which is the answer."""
    partner_id = await reading.partner_of_action(connection, action_id)
    if partner_id is None:
        raise LookupError(action_id)
    await locks.lock_partners_shared(connection, [partner_id])
    await locks.lock_bills_exclusive(connection, partner_id)
    return partner_id
