"""Billing terms as rows, versioned by the first period in which they count (B3)."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from billing.contracts.billing_terms import BillingTerms
from billing.contracts.preferences import AskedApproval, Paper, Preferences
from billing.contracts.tax import Tax, TaxCategory


async def read_versions(connection: asyncpg.Connection, partner_id: UUID) -> dict[int, BillingTerms]:
    """Each version of a partner's billing terms by its first period; none are the defaults for ever."""
    rows = await connection.fetch("SELECT * FROM billing_terms WHERE partner_id = $1", partner_id)
    return {row["from_period"]: billing_terms_from_row(row) for row in rows}


async def read_newest(
    connection: asyncpg.Connection, partner_ids: Iterable[UUID], period: int | None = None
) -> dict[UUID, tuple[int, BillingTerms]]:
    """Of each partner that has one, the version of a period and its first period; by default the newest one."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (partner_id) * FROM billing_terms
        WHERE partner_id = ANY($1::uuid[]) AND ($2::int IS NULL OR from_period <= $2)
        ORDER BY partner_id, from_period DESC
        """,
        list(partner_ids),
        period,
    )
    return {row["partner_id"]: (row["from_period"], billing_terms_from_row(row)) for row in rows}


async def write(connection: asyncpg.Connection, partner_id: UUID, from_period: int, terms: BillingTerms) -> None:
    """Add a version, or replace the one that starts with the same period."""
    columns = _columns_from_billing_terms(terms)
    numbers = ", ".join(f"${number}" for number in range(3, len(columns) + 3))
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns)
    await connection.execute(
        f"""
        INSERT INTO billing_terms (partner_id, from_period, {", ".join(columns)}) VALUES ($1, $2, {numbers})
        ON CONFLICT (partner_id, from_period) DO UPDATE SET {changed}
        """,  # noqa: S608 - the columns are named below
        partner_id,
        from_period,
        *columns.values(),
    )


def billing_terms_from_row(row: asyncpg.Record) -> BillingTerms:
    """A row of billing_terms."""
    category, asked = row["tax_category"], row["approvals"]
    return BillingTerms(
        monthly_api_limit=row["monthly_api_limit"],
        overage_unit_cost=row["overage_unit_cost"],
        usage_sources=tuple(row["usage_sources"]),
        tax=Tax(TaxCategory(category), row["tax_rate_bp"], row["tax_note"]) if category else None,
        payment_days=row["payment_days"],
        po_number=row["po_number"],
        address=row["address"],
        tax_id=row["tax_id"],
        start_date=row["start_date"],
        end_date=row["end_date"],
        csm_id=row["csm_id"],
        require_csm_approval=row["require_csm_approval"],
        return_days=row["return_days"],
        return_reasons=tuple(row["return_reasons"]),
        preferences=Preferences(
            approvals=None if asked is None else msgspec.convert(asked, tuple[AskedApproval, ...]),
            auto_issue=row["auto_issue"],
            send=row["send"],
            remind=row["remind"],
            emails=tuple(row["emails"]),
            language=row["language"],
            paper=Paper(row["paper"]),
        ),
    )


def _columns_from_billing_terms(terms: BillingTerms) -> dict[str, Any]:
    tax, preferences = terms.tax, terms.preferences
    asked = preferences.approvals
    return {
        "monthly_api_limit": terms.monthly_api_limit,
        "overage_unit_cost": terms.overage_unit_cost,
        "usage_sources": terms.usage_sources,
        "tax_category": tax.category if tax else None,
        "tax_rate_bp": tax.rate_bp if tax else None,
        "tax_note": tax.note if tax else None,
        "payment_days": terms.payment_days,
        "po_number": terms.po_number,
        "address": terms.address,
        "tax_id": terms.tax_id,
        "start_date": terms.start_date,
        "end_date": terms.end_date,
        "csm_id": terms.csm_id,
        "require_csm_approval": terms.require_csm_approval,
        "return_days": terms.return_days,
        "return_reasons": terms.return_reasons,
        "approvals": None if asked is None else msgspec.json.encode(asked).decode(),
        "auto_issue": preferences.auto_issue,
        "send": preferences.send,
        "remind": preferences.remind,
        "emails": preferences.emails,
        "language": preferences.language,
        "paper": preferences.paper,
    }
