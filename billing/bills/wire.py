"""The content of a bill as JSON, and back: what the digest is taken over, and what a bill's file holds.

Amounts are decimal strings, periods are like "2024-04". Whatever follows from the lines stands in the JSON, too, and is
computed anew when it is read: so a file whose sums are wrong differs from what it says itself (`billing.bills.verify`).
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from billing.bills.canonical_json import Json
from billing.bills.tax import TaxBlock, blocks_of, totals_of
from billing.bills.values import Content, Line, LineKind, LineTax, Noted, Party, TermsOfBill, Unit
from billing.contracts.tax import TaxCategory
from billing.errors import InvalidValue
from billing.money import amount_from_minor, minor_from_amount
from billing.periods import period_from_text, text_from_period

FORMAT = "leadger bill 1"
"""Names the form of the JSON: another form would be another digest."""

_DECIMAL = re.compile(r"[0-9]{1,13}\.[0-9]{2,6}")


def json_from_content(content: Content) -> dict[str, Json]:
    """All that the digest is taken over (B4)."""
    totals = totals_of(content)
    return {
        "format": FORMAT,
        "partner": content.partner,
        "period": text_from_period(content.period),
        "currency": content.currency,
        "lines": [json_from_line(line) for line in content.lines],
        "taxes": [_json_from_block(block, content.tax_notes.get(block.tax)) for block in blocks_of(content)],
        "net": amount_from_minor(totals.net_minor),
        "tax": amount_from_minor(totals.tax_minor),
        "gross": amount_from_minor(totals.gross_minor),
        "total": amount_from_minor(totals.total_minor),
        "carried_forward": amount_from_minor(totals.carried_forward_minor),
        "seller": _json_from_party(content.seller),
        "buyer": _json_from_party(content.buyer),
        "terms": _json_from_terms(content.terms),
        "usage": dict(content.usage),
        "report": {"version": content.report_version, "digest": content.report_digest},
        "credit_note": _json_from_noted(content.noted),
    }


def json_from_line(line: Line) -> dict[str, Json]:
    """One line; `unit_price` has six decimals if the unit is of usage, else two."""
    return {
        "line": line.number,
        "kind": line.kind.value,
        "text": line.text,
        "product": line.product,
        "actions": line.actions,
        "late": line.late,
        "duplicate_savings": amount_from_minor(line.duplicate_savings_minor),
        "cap_savings": amount_from_minor(line.cap_savings_minor),
        "corrects": None if line.corrects is None else text_from_period(line.corrects),
        "quantity": line.quantity,
        "unit": line.unit.value,
        "unit_price": f"{line.unit_price:.{6 if line.unit is Unit.USAGE else 2}f}",
        "net": amount_from_minor(line.net_minor),
        **_json_from_tax(line.tax),
        "reason": line.reason,
    }


def content_from_json(value: Mapping[str, Any]) -> Content:
    """The content that `json_from_content` wrote. KeyError, TypeError or ValueError for what it never writes."""
    lines = [_line_from_json(line) for line in value["lines"]]
    blocks = {_tax(block["category"], block["rate"]): block for block in value["taxes"]}
    note, report = value["credit_note"], value["report"]
    return Content(
        partner=value["partner"],
        period=period_from_text(value["period"]),
        currency=value["currency"],
        lines=lines,
        seller=Party(**value["seller"]),
        buyer=Party(**value["buyer"]),
        terms=_terms_from_json(value["terms"]),
        usage=value["usage"],
        report_version=report["version"],
        report_digest=report["digest"],
        tax_notes={tax: block["note"] for tax, block in blocks.items() if block["note"] is not None},
        noted=note
        and Noted(
            note["reason"],
            note["cancels"],
            {tax: minor_from_signed(block["noted_before"]) for tax, block in blocks.items()},
        ),
    )


def minor_from_signed(amount: str) -> int:
    """Read an amount that may be below zero, as `amount_from_minor` writes it."""
    minor = minor_from_amount(amount.removeprefix("-"))
    return -minor if amount.startswith("-") else minor


def _json_from_block(block: TaxBlock, note: str | None) -> dict[str, Json]:
    return {
        "category": block.tax.category.value,
        "rate": f"{block.tax.rate:.2f}",
        "base": amount_from_minor(block.base_minor),
        "tax": amount_from_minor(block.tax_minor),
        "noted_before": amount_from_minor(block.noted_before_minor),
        "note": note,
    }


def _json_from_noted(noted: Noted | None) -> dict[str, Json] | None:
    return None if noted is None else {"reason": noted.reason, "cancels": noted.cancels}


def _json_from_party(party: Party) -> dict[str, Json]:
    return {"name": party.name, "address": party.address, "tax_id": party.tax_id, "iban": party.iban}


def _json_from_terms(terms: TermsOfBill) -> dict[str, Json]:
    return {
        "monthly_limit": terms.monthly_limit,
        "overage_unit_cost": None if terms.overage_unit_cost is None else f"{terms.overage_unit_cost:.6f}",
        "usage_sources": list(terms.usage_sources),
        **_json_from_tax(terms.tax),
        "tax_note": terms.tax_note,
        "payment_days": terms.payment_days,
        "po_number": terms.po_number,
    }


def _line_from_json(value: Mapping[str, Any]) -> Line:
    corrects = value["corrects"]
    return Line(
        number=value["line"],
        kind=LineKind(value["kind"]),
        text=value["text"],
        unit_price=_decimal(value["unit_price"]),
        quantity=value["quantity"],
        unit=Unit(value["unit"]),
        tax=_tax_from_json(value),
        product=value["product"],
        actions=value["actions"],
        late=value["late"],
        duplicate_savings_minor=minor_from_signed(value["duplicate_savings"]),
        cap_savings_minor=minor_from_signed(value["cap_savings"]),
        corrects=None if corrects is None else period_from_text(corrects),
        reason=value["reason"],
    )


def _terms_from_json(value: Mapping[str, Any]) -> TermsOfBill:
    cost = value["overage_unit_cost"]
    return TermsOfBill(
        monthly_limit=value["monthly_limit"],
        overage_unit_cost=None if cost is None else _decimal(cost),
        usage_sources=tuple(value["usage_sources"]),
        tax=_tax_from_json(value),
        tax_note=value["tax_note"],
        payment_days=value["payment_days"],
        po_number=value["po_number"],
    )


def _json_from_tax(tax: LineTax | None) -> dict[str, Json]:
    if tax is None:
        return {"tax_category": None, "tax_rate": None}
    return {"tax_category": tax.category.value, "tax_rate": f"{tax.rate:.2f}"}


def _tax_from_json(value: Mapping[str, Any]) -> LineTax | None:
    category = value["tax_category"]
    return None if category is None else _tax(category, value["tax_rate"])


def _tax(category: str, rate: str) -> LineTax:
    return LineTax(TaxCategory(category), _decimal(rate))


def _decimal(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise InvalidValue(f"{text} is no decimal with two to six digits behind the point")
    return Decimal(text)
