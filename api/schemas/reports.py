"""Reports on the wire."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from api.wire import instant_out, totals_out
from billing.money import amount_from_minor
from billing.periods import text_from_period
from billing.totals import TOTALS_COLUMNS, Totals
from db.reports.explanation import explanation
from db.reports.figures import CustomerTotals, Report, totals_from_row


def report_out(report: Report, customers: Sequence[CustomerTotals]) -> dict[str, Any]:
    """A live report with the first of its customers."""
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
        "totals": totals_out(report.totals),
        "credited": amount_from_minor(report.credited_minor),
        "explanation": explanation(report),
        "customers": [customer_out(customer) for customer in customers],
        "products": [
            {"product": product.product, "name": product.name, "totals": totals_out(product.totals)}
            for product in report.products
        ],
    }


def customer_out(customer: CustomerTotals) -> dict[str, Any]:
    """One customer's part of a report."""
    row = customer.row
    return {
        "customer": {
            "customer_id": row["customer_id"],
            "external_id": row["external_id"],
            "name": row["name"],
            "email": row["email"],
        },
        "totals": totals_out(customer.totals),
        "credited": amount_from_minor(row["credited_minor"]),
    }


def version_out(row: asyncpg.Record, files: Sequence[asyncpg.Record]) -> dict[str, Any]:
    """A written version with its files."""
    products = row["products"]
    return {
        "report_id": row["report_id"],
        "version": row["version"],
        "period": text_from_period(row["period"]),
        "currency": row["currency"],
        "as_of": instant_out(row["as_of"]),
        "final": row["final"],
        "digest": row["digest"],
        "totals": totals_out(totals_from_row(row)),
        "credited": amount_from_minor(row["credited_minor"]),
        "products": [
            {
                "product": product["product"],
                "name": product["name"],
                "totals": totals_out(Totals(*(product[name] for name in TOTALS_COLUMNS))),
            }
            for product in products
        ],
        "files": [
            {
                "format": file["format"],
                "size_bytes": file["size_bytes"],
                "sha256": file["sha256"],
                "url": f"/billing/reports/{row['report_id']}?version={row['version']}&format={file['format']}",
            }
            for file in files
        ],
    }
