"""Reports on the wire."""

from collections.abc import Iterable, Sequence
from typing import Any

from api.wire import instant_out, totals_out
from billing.money import amount_from_minor
from billing.periods import text_from_period
from db.core.row_keys import customer_uuid
from db.reports.live_report import ProductTotals, Report
from db.reports.report_customers import CustomerTotals
from db.reports.report_versions import ReportVersion
from db.reports.totals_in_words import explanation


def report_out(
    report: Report, customers: Sequence[CustomerTotals], following: str | None, *, people: bool
) -> dict[str, Any]:
    """A live report with the first of its customers, and where the others begin; None if these are all."""
    return {
        "report_id": report.report_id,
        "version": report.version,
        "partner": report.partner,
        "partner_name": report.partner_name,
        "period": text_from_period(report.period),
        "currency": report.currency,
        "as_of": instant_out(report.as_of),
        "final": report.final,
        "digest": report.digest,
        "totals": totals_out(report.totals, report.credited_minor),
        "credited": amount_from_minor(report.credited_minor),
        "explanation": explanation(report),
        "customers": [customer_out(customer, people=people) for customer in customers],
        "customers_next": following,
        "products": _products_out(report.products),
    }


def customer_out(customer: CustomerTotals, *, people: bool) -> dict[str, Any]:
    """One customer's part of a report; without `people` the customer has no name and no e-mail."""
    return {
        "customer": {
            "customer_id": customer_uuid(customer.external_id),
            "external_id": customer.external_id,
            "name": customer.name if people else None,
            "email": customer.email if people else None,
        },
        "totals": totals_out(customer.totals, customer.credited_minor),
        "credited": amount_from_minor(customer.credited_minor),
    }


def version_out(version: ReportVersion, *, people: bool) -> dict[str, Any]:
    """A written version with its files; without `people` they are left out, because they name them."""
    path = f"/billing/reports/{version.report_id}?version={version.version}"
    return {
        "report_id": version.report_id,
        "version": version.version,
        "period": text_from_period(version.period),
        "currency": version.currency,
        "as_of": instant_out(version.as_of),
        "final": version.final,
        "digest": version.digest,
        "totals": totals_out(version.totals, version.credited_minor),
        "credited": amount_from_minor(version.credited_minor),
        "products": _products_out(version.products),
        "files": [
            {
                "format": file.format,
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
                "url": f"{path}&format={file.format}",
            }
            for file in version.files
            if people
        ],
    }


def _products_out(products: Iterable[ProductTotals]) -> list[dict[str, Any]]:
    return [
        {
            "product": product.product,
            "name": product.name,
            "totals": totals_out(product.totals, product.credited_minor),
        }
        for product in products
    ]
