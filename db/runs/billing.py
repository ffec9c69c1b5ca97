"""Billing a period of some partners, as a run does: close, write the report, make the bill, submit, issue (M1)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.bills.states import Move, State
from billing.errors import RuleViolation
from billing.periods import name_of_period, previous_period
from billing.runs import Outcome, exceeds
from db.bills import creation, issuing_drafts, moves, reviews, submitting
from db.bills.drafts import Draft
from db.bills.mail import notices
from db.bills.moves import Asked, Mover
from db.bills.submitting import Submitted
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.ledger import closing
from db.ledger.policies import Policies
from db.reports import live_report, report_versions
from db.runs import approved
from db.runs.records import Result

_FOR_FINANCE = (State.DRAFT, State.APPROVED)
"""Where a bill of a run waits for Finance, who is told."""


class PartnersBusy(Exception):
    """Others use some of several partners; each is billed by itself, and waited for."""


class CustomersStale(Exception):
    """Customers must be judged by the present terms and rates first."""


async def bill(
    uow: UnitOfWork,
    policies: Policies,
    partner_ids: Sequence[UUID],
    period: int,
    now: datetime,
    *,
    threshold_percent: float | None = None,
    keeps_batches_out: bool = True,
) -> dict[UUID, Result]:
    """Bill an ended period of partners, all or none; what a person has given up or reopened is left to people.

    A bill that people have approved since is issued where the terms say so.

    Without `keeps_batches_out` leads of the partners are decided meanwhile, which is for what will be rolled back.
    Raises PartnersBusy, CustomersStale, or RuleViolation if it cannot be done now.
    """
    connection = uow.connection
    if keeps_batches_out:
        await _lock(connection, partner_ids)
    await locks.lock_bills_of_partners_exclusive(connection, partner_ids)
    results = await without_bill(connection, partner_ids, period)
    approved_ids = [of for of, each in results.items() if each.bill_state == State.APPROVED]
    results |= await approved.issue(uow, approved_ids, period, now)
    rest = [partner_id for partner_id in partner_ids if partner_id not in results]
    await _close(uow, policies, rest, period, now)
    reports = await live_report.read_many(connection, rest, period)
    await report_versions.add_changed(connection, reports.values())  # a bill names the final version
    drafts = await creation.make_locked(uow, policies, rest, period)
    states = await _submit(uow, drafts, period, threshold_percent)
    await _issue(uow, drafts, states, period, now)
    await notices.note(
        uow.connection, [drafts[of].bill_id for of, each in states.items() if each.state in _FOR_FINANCE]
    )
    return results | {partner_id: _result(drafts.get(partner_id), states.get(partner_id)) for partner_id in rest}


async def _lock(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> None:
    if len(partner_ids) == 1:
        await locks.lock_partner_exclusive(connection, partner_ids[0])
    elif not await locks.try_lock_partners_exclusive(connection, partner_ids):
        raise PartnersBusy


async def without_bill(connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int) -> dict[UUID, Result]:
    """The partners for whom no bill is made: they have one, or people see to it."""
    rows = await connection.fetch(
        """
        SELECT partners.id, live.id AS bill_id, live.state, given_up.state AS given_up,
            coalesce(closed_through, 0) < $2 AND EXISTS (
                SELECT FROM billing_reports WHERE partner_id = partners.id AND billing_reports.period = $2 AND final
            ) AS reopened
        FROM partners
        LEFT JOIN LATERAL (
            SELECT id, state FROM bills WHERE partner_id = partners.id AND period = $2 AND corrects_id IS NULL
                AND state NOT IN ('void', 'cancelled') LIMIT 1
        ) AS live ON true
        LEFT JOIN LATERAL (
            SELECT state FROM bills WHERE partner_id = partners.id AND period = $2 AND corrects_id IS NULL
                AND state IN ('void', 'cancelled') ORDER BY created_at DESC LIMIT 1
        ) AS given_up ON true
        WHERE partners.id = ANY($1::uuid[])
        """,
        partner_ids,
        period,
    )
    results = {}
    for row in rows:
        if row["bill_id"]:
            note = "The period has a bill already."
            results[row["id"]] = Result(Outcome.SKIPPED, row["bill_id"], row["state"], note=note)
        elif row["reopened"]:
            results[row["id"]] = Result(Outcome.WAITING, note="A person has reopened the period.")
        elif row["given_up"]:
            results[row["id"]] = Result(Outcome.WAITING, note=f"Its bill is {row['given_up']}; a person makes another.")
    return results


async def _close(uow: UnitOfWork, policies: Policies, partner_ids: Sequence[UUID], period: int, now: datetime) -> None:
    """Close what is open through the period, the oldest month of all first."""
    loaded = await policies.load(uow.connection, partner_ids)
    still_open = [policy for policy in loaded.values() if policy.is_open(period)]
    months = await closing.months_to_close(uow.connection, still_open, period, now)
    for month in sorted({month for each in months.values() for month in each}):
        of_month = [partner_id for partner_id, each in months.items() if month in each]
        if not await closing.close_locked(uow, policies, of_month, month, now):
            raise CustomersStale


async def _submit(
    uow: UnitOfWork, drafts: Mapping[UUID, Draft], period: int, threshold_percent: float | None
) -> dict[UUID, Submitted]:
    """Where each draft stands once it is submitted; one that differs too much from the month before stays a draft."""
    before, earlier = {}, name_of_period(previous_period(period))
    if threshold_percent is not None:
        before = await _gross_of_period(uow.connection, list(drafts), previous_period(period))
    too_different: dict[UUID, Submitted] = {
        partner_id: Submitted(State.DRAFT, f"It differs by more than {threshold_percent:g} % from that of {earlier}.")
        for partner_id, draft in drafts.items()
        if exceeds(threshold_percent, before.get(partner_id), draft.totals.gross_minor)
    }
    alike = {partner_id: draft for partner_id, draft in drafts.items() if partner_id not in too_different}
    return too_different | await submitting.submit_all(uow, alike, period)


async def _gross_of_period(connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int) -> dict[UUID, int]:
    rows = await connection.fetch(
        """
        SELECT partner_id, net_minor + tax_minor AS gross_minor FROM bills
        WHERE partner_id = ANY($1::uuid[]) AND period = $2 AND corrects_id IS NULL
            AND state NOT IN ('void', 'cancelled')
        """,
        partner_ids,
        period,
    )
    return {row["partner_id"]: row["gross_minor"] for row in rows}


async def _issue(
    uow: UnitOfWork, drafts: Mapping[UUID, Draft], states: dict[UUID, Submitted], period: int, now: datetime
) -> None:
    """Issue what is approved and may be issued by a run; one that cannot be stays approved."""
    at_once = [partner_id for partner_id, submitted in states.items() if submitted.state is State.APPROVED]
    agreed = await reviews.terms_of_today_of(uow.connection, at_once, now) if at_once else {}
    wanted = {of: drafts[of] for of in at_once if agreed[of].preferences.auto_issue}
    issued = await issuing_drafts.issue_all(uow, wanted, period, now) if wanted else set()
    for partner_id, draft in wanted.items():
        try:
            if partner_id not in issued:
                async with uow.connection.transaction():
                    await moves.move(uow, draft.bill_id, Asked(Move.ISSUE, draft.digest), Mover(), now)
        except RuleViolation as refused:
            states[partner_id] = Submitted(State.APPROVED, f"It is not issued: {refused}")
        else:
            states[partner_id] = Submitted(State.ISSUED)


def _result(draft: Draft | None, submitted: Submitted | None) -> Result:
    if draft is None or submitted is None:
        return Result(Outcome.SKIPPED, gross_minor=0, note="Nothing is to be billed.")
    return Result(Outcome.SUCCESSFUL, draft.bill_id, submitted.state, draft.totals.gross_minor, submitted.note)
