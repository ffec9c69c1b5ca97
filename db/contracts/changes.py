"""Changes of a contract: one transaction that locks the partner's bills, refuses or writes, and is in the audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from billing.contracts.billing_terms import BillingTerms, terms_at, versions_to_write
from billing.periods import next_period, text_from_period
from db.contracts import billing_settings, billing_terms
from db.contracts.issued_periods import issued_periods
from db.core import locks
from db.core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ContractUpdate:
    """What to change; what is not named stays. `terms` are fields of BillingTerms, `settings` of BillingSettings."""

    terms: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.terms or self.settings)

    @property
    def moves_first_bill(self) -> bool:
        """Whether bills may begin with another period then, which decides what can be credited (B1)."""
        return "billing_from" in self.settings or "start_date" in self.terms


async def change(uow: UnitOfWork, partner_id: UUID, update: ContractUpdate, effective_period: int | None) -> None:
    """Change the contract of an existing partner, its terms from a period on that is not issued (B3).

    The period is by default the first open one. RuleViolation if it is issued, for settings that are settled, and if
    bills would begin after a period of which something was credited or adjusted. What moves the first bill needs the
    partner's exclusive lock.
    """
    await locks.lock_bills_exclusive(uow.connection, partner_id)
    if update.settings:
        before = await billing_settings.change(uow.connection, partner_id, update.settings)
        was = {name: getattr(before, name) for name in update.settings}
        await uow.audit("billing_settings.changed", partner_id, before=was, after=update.settings)
    if update.terms:
        if "start_date" in update.terms:
            await billing_settings.settle_first_period(uow.connection, partner_id)
        await _change_terms(uow, partner_id, update.terms, effective_period)
    if update.moves_first_bill:
        await billing_settings.check_all_is_billed(uow.connection, partner_id)


async def _change_terms(
    uow: UnitOfWork, partner_id: UUID, changes: Mapping[str, Any], effective_period: int | None
) -> None:
    start = await _first_open(uow.connection, partner_id) if effective_period is None else effective_period
    versions = await billing_terms.read_versions(uow.connection, partner_id)
    issued = await issued_periods(uow.connection, partner_id)
    written = versions_to_write(versions, start, changes, issued)
    for from_period, terms in written.items():
        await billing_terms.write(uow.connection, partner_id, from_period, terms)
    from_text = text_from_period(start) if start else None
    await uow.audit(
        "billing_terms.changed",
        partner_id,
        before=_named(terms_at(versions, start), changes),
        after={**_named(written[start], changes), "from_period": from_text},
    )


async def _first_open(connection: asyncpg.Connection, partner_id: UUID) -> int:
    closed_through = await connection.fetchval("SELECT closed_through FROM partners WHERE id = $1", partner_id)
    return next_period(closed_through) if closed_through else 0


def _named(terms: BillingTerms, names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in names}
