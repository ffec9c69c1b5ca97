"""Contracts: billing terms, the seller, usage."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.answers.audit import Who
from api.schemas.answers.base import Answer, Money, Month
from billing.contracts.preferences import Approver, Paper
from billing.contracts.tax import TaxCategory

UnitCost = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{6}$", examples=["0.012500"])]
Percent = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$", examples=["20.00"])]


class Tax(Answer):
    """The tax on all lines of a bill."""

    category: TaxCategory
    rate: Percent
    note: str | None


class AskedApproval(Answer):
    """An approval that bills need; with `above`, only those of more than that."""

    by: Approver
    above: Money | None


class Preferences(Answer):
    """Who approves bills, and how they are numbered, sent and printed; null is the default."""

    approvals: list[AskedApproval] | None
    auto_issue: bool
    send: bool
    remind: bool
    emails: list[str]
    language: str
    paper: Paper
    number_prefix: str | None
    first_number: int | None


class CsmOf(Answer):
    """The customer success manager of a partner."""

    user_id: UUID
    name: str


class ContractOf(Answer):
    """What is agreed for a partner's bills."""

    monthly_api_limit: int | None
    overage_unit_cost: UnitCost | None
    usage_sources: list[str]
    tax: Tax | None
    payment_days: int
    po_number: str | None
    address: str | None
    tax_id: str | None
    start_date: date | None
    end_date: date | None
    csm: CsmOf | None = Field(description="null for callers that are bound to the partner")
    require_csm_approval: bool
    csm_must_approve: bool = Field(description="the old name of `require_csm_approval`", deprecated=True)
    return_days: int | None
    return_reasons: list[str]
    billing_from: Month | None
    preferences: Preferences
    billing_terms_since: Month | None


class Seller(Answer):
    """Who the bills are from."""

    name: str
    address: str | None
    tax_id: str | None
    iban: str | None
    small_amount: Money | None


class Usage(Answer):
    """Units of a partner's month from one source; `entry` counts how often the key was entered with other units."""

    partner: str
    period: Month
    source: str
    key: str
    units: int
    entry: int
    entered_at: datetime
    entered_by: Who | None = Field(description="null for callers that are bound to the partner")
