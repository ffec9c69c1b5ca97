"""Billing reports, live and as they were written."""

from datetime import datetime
from uuid import UUID

from api.schemas.answers.base import Answer, Money, Month, Totals
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
    products: list[ProductPart]
    files: list[ReportFile]
