"""Billing reports, live and as they were written."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer, Money, Month, Totals, WrittenTotals
from api.schemas.answers.leads import CustomerOf


class CustomerPart(Answer):
    """One customer's part of a report."""

    customer: CustomerOf
    totals: Totals
    credited: Money


class ProductPart(Answer):
    """One product's part of a report."""

    product: str
    name: str
    totals: Totals


class WrittenProductPart(Answer):
    """One product's part of a version."""

    product: str
    name: str
    totals: WrittenTotals


class Report(Answer):
    """A live report; `version` is the last one written, 0 if none was."""

    report_id: UUID
    version: int
    partner: str
    partner_name: str
    period: Month
    currency: str
    as_of: datetime
    final: bool
    digest: str
    totals: Totals
    credited: Money
    explanation: str
    customers: list[CustomerPart]
    customers_next: str | None = Field(
        description="send it as `after` to /billing/reports/{report_id}/customers for the rest; null if all are here"
    )
    products: list[ProductPart]


class ReportFile(Answer):
    """A file of a written version."""

    format: str
    size_bytes: int
    sha256: str
    url: str


class ReportVersion(Answer):
    """A version as it was written."""

    report_id: UUID
    version: int
    period: Month
    currency: str
    as_of: datetime
    final: bool
    digest: str
    totals: Totals
    credited: Money
    products: list[WrittenProductPart]
    files: list[ReportFile]
