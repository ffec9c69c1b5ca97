"""What a bill would say now (B2, B3): its lines from the final report, credits, usage and adjustments of the period."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec

from billing.bills.lines import Adjustment, CreditFigures, ProductFigures, lines_of
from billing.bills.values import Content, LineTax, Party, TermsOfBill
from billing.bills.wire import content_from_json
from billing.contracts.billing_terms import BillingTerms, terms_at
from billing.contracts.tax import Tax
from billing.contracts.usage import LEADGER
from db.bills import adjustments
from db.contracts import agreed_terms, billing_terms, usage
from db.contracts.agreed_terms import AgreedTerms
from db.reports import live_report
from db.reports.live_report import Report


async def content_now(connection: asyncpg.Connection, partner_id: UUID, period: int) -> Content:
    """The content of the bill of a closed period, as everything it is made from is now."""
    return (await contents_now(connection, [partner_id], period))[partner_id]


async def contents_now(connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int) -> dict[UUID, Content]:
    """The same of each partner; as many statements for many partners as for one."""
    agreed = await agreed_terms.read_many(connection, partner_ids, period)
    reports = await live_report.read_many(connection, partner_ids, period)
    units = await usage.units_of_partners(connection, partner_ids, period)
    late = await _late_actions(connection, partner_ids, period)
    credited = await _credits(connection, partner_ids, period)
    adjusted = await adjustments.standing(connection, partner_ids, period)
    return {
        partner_id: _content(
            agreed[partner_id],
            reports[partner_id],
            units[partner_id],
            late[partner_id],
            credited[partner_id],
            [entry.adjustment for entry in adjusted[partner_id]],
        )
        for partner_id in partner_ids
    }


def _content(
    agreed: AgreedTerms,
    report: Report,
    units_of_others: Mapping[str, int],
    late: Mapping[str, int],
    credited: Iterable[CreditFigures],
    adjusted: Sequence[Adjustment],
) -> Content:
    units = {**units_of_others, LEADGER: report.totals.leads}
    terms = terms_from_agreed(agreed.terms)
    lines = lines_of(terms, _products(report, late), credited, units, adjusted)
    seller, partner = agreed.seller, agreed.partner
    note = agreed.terms.tax.note if agreed.terms.tax else None
    return Content(
        partner=partner.external_id,
        period=report.period,
        currency=agreed.currency,
        lines=lines,
        seller=Party(seller.name, seller.address, seller.tax_id, seller.iban) if seller else Party(""),
        buyer=Party(partner.name, partner.address, partner.tax_id),
        terms=terms,
        usage=units,
        report_version=report.version,
        report_digest=report.digest,
        tax_notes={terms.tax: note} if terms.tax and note else {},
    )


async def _late_actions(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int
) -> dict[UUID, dict[str, int]]:
    """How many actions of each product are late, of each partner."""
    late: dict[UUID, dict[str, int]] = {partner_id: {} for partner_id in partner_ids}
    for row in await connection.fetch(
        """
        SELECT actions.partner_id, products.external_id AS product, count(*) AS late
        FROM actions JOIN products ON products.id = product_id
        WHERE actions.partner_id = ANY($1::uuid[]) AND billing_period = $2 AND own_period < billing_period
        GROUP BY actions.partner_id, products.external_id
        """,
        partner_ids,
        period,
    ):
        late[row["partner_id"]][row["product"]] = row["late"]
    return late


def _products(report: Report, late: Mapping[str, int]) -> Iterable[ProductFigures]:
    return [
        ProductFigures(
            product=each.product,
            name=each.name,
            billed_minor=each.totals.billed_minor,
            actions=each.totals.actions,
            late=late.get(each.product, 0),
            duplicate_savings_minor=each.totals.duplicate_savings_minor,
            cap_savings_minor=each.totals.cap_savings_minor,
        )
        for each in report.products
        if each.totals.actions
    ]


async def _credits(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int
) -> dict[UUID, list[CreditFigures]]:
    """What was credited in the period, of each partner."""
    rows = await connection.fetch(
        """
        SELECT credits.partner_id, products.external_id AS product, products.name, actions.billing_period,
            count(*) AS actions, sum(credits.amount_minor)::bigint AS credited_minor
        FROM credits JOIN actions ON actions.id = credits.action_id JOIN products ON products.id = credits.product_id
        WHERE credits.partner_id = ANY($1::uuid[]) AND credits.period = $2
        GROUP BY credits.partner_id, products.external_id, products.name, actions.billing_period
        """,
        partner_ids,
        period,
    )
    corrected = {(row["partner_id"], row["billing_period"]) for row in rows}
    taxes = {bill: await _tax_of_leads(connection, *bill) for bill in corrected}
    credited: dict[UUID, list[CreditFigures]] = {partner_id: [] for partner_id in partner_ids}
    for row in rows:
        credited[row["partner_id"]].append(
            CreditFigures(
                product=row["product"],
                name=row["name"],
                period=row["billing_period"],
                tax=taxes[row["partner_id"], row["billing_period"]],
                credited_minor=row["credited_minor"],
                actions=row["actions"],
            )
        )
    return credited


async def _tax_of_leads(connection: asyncpg.Connection, partner_id: UUID, period: int) -> LineTax | None:
    """The tax that the issued bill of a period has on its leads; without one, that of the terms of the period."""
    issued = await issued_content(connection, partner_id, period)
    if issued:
        return issued.terms.tax
    return _tax(terms_at(await billing_terms.read_versions(connection, partner_id), period).tax)


async def issued_content(
    connection: asyncpg.Connection, partner_id: UUID, period: int, before: UUID | None = None
) -> Content | None:
    """What the last issued bill of a period says, of those that were issued before another bill if one is named."""
    issued = await connection.fetchval(
        """
        SELECT content FROM bills
        WHERE partner_id = $1 AND period = $2 AND corrects_id IS NULL AND issued_at IS NOT NULL
            AND issued_at < coalesce((SELECT issued_at FROM bills WHERE id = $3), 'infinity')
        ORDER BY issued_at DESC LIMIT 1
        """,
        partner_id,
        period,
        before,
    )
    return content_from_json(msgspec.json.decode(issued)) if issued else None


def terms_from_agreed(agreed: BillingTerms) -> TermsOfBill:
    """What a bill keeps of the agreed terms."""
    return TermsOfBill(
        monthly_limit=agreed.monthly_api_limit,
        overage_unit_cost=agreed.overage_unit_cost,
        usage_sources=agreed.usage_sources,
        tax=_tax(agreed.tax),
        tax_note=agreed.tax.note if agreed.tax else None,
        payment_days=agreed.payment_days,
        po_number=agreed.po_number,
    )


def _tax(agreed: Tax | None) -> LineTax | None:
    return None if agreed is None else LineTax(agreed.category, Decimal(agreed.rate_bp) / 100)
