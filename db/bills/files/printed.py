"""What the PDF of a bill prints: every text as it stands there, numbers and dates in the partner's language."""

from collections.abc import Iterator
from typing import Any

from billing.bills.digest import digest_of, seal_of
from billing.bills.tax import TaxBlock, blocks_of, totals_of
from billing.bills.values import Content, Issue, Line, LineKind, Party, Unit
from billing.contracts.tax import TaxCategory
from billing.contracts.usage import charged_by_source
from db.bills.files.language import Language, language_of
from db.reports.typesetting import breaking

_CATEGORIES = {
    TaxCategory.STANDARD: "Standard rate",
    TaxCategory.ZERO: "Zero rate",
    TaxCategory.EXEMPT: "Exempt",
    TaxCategory.REVERSE_CHARGE: "Reverse charge",
    TaxCategory.OUTSIDE: "Outside the scope",
}
_PAPERS = {"A4": "a4", "Letter": "us-letter"}


def printed_bill(content: Content, issue: Issue) -> dict[str, Any]:
    """The texts of a bill or a credit note by the names that bill.typ gives them."""
    language = language_of(issue.language)
    due_minor = totals_of(content).total_minor - issue.applied_minor
    kind = "Bill" if content.noted is None else "Credit note"
    return {
        "kind": kind,
        "title": f"{kind} {issue.number}",
        "number": issue.number,
        "lang": language.locale.language,
        "paper": _PAPERS[issue.paper],
        "currency": content.currency,
        "seller": _party(content.seller),
        "buyer": _party(content.buyer),
        "footer": breaking(" · ".join(text for text in (content.seller.name, content.seller.tax_id) if text)),
        "facts": list(_facts(content, issue, language)),
        "headline": _headline(content, issue, due_minor, language),
        "has_savings": any(_saved(line) for line in content.lines),
        "lines": [_line(line, content, issue, language) for line in content.lines],
        "taxes": [_tax(block, content.tax_notes.get(block.tax), language) for block in blocks_of(content)],
        "sums": list(_sums(content, issue, language)),
        "result": _result(content, due_minor, language),
        "pays": content.noted is None and due_minor > 0,
        "payment": _payment(content, issue, due_minor, language),
        "digest": digest_of(content),
        "seal": seal_of(content, issue),
    }


def _party(party: Party) -> dict[str, str | None]:
    iban = party.iban and " ".join(party.iban[at : at + 4] for at in range(0, len(party.iban), 4))
    address, tax_id = party.address and breaking(party.address), party.tax_id and breaking(party.tax_id)
    return {"name": breaking(party.name), "address": address, "tax_id": tax_id, "iban": iban}


def _facts(content: Content, issue: Issue, language: Language) -> Iterator[tuple[str, str]]:
    yield "Number", issue.number
    if content.noted is not None:
        yield "For bill", issue.corrected[content.period]
    yield "Period", language.month(content.period)
    yield "Issued", language.date(issue.issued_on)
    if content.noted is None:
        yield "Due", language.date(issue.due_on)
    if content.terms.po_number:
        yield "PO number", breaking(content.terms.po_number)


def _headline(content: Content, issue: Issue, due_minor: int, language: Language) -> tuple[str, str, str]:
    """A word, the amount in question, and what it is about."""
    about = f"for {language.month(content.period)}"
    if content.noted is not None:
        cancelled = ", which it cancels" if content.noted.cancels else ""
        about = f"{breaking(content.noted.reason)} – for bill {issue.corrected[content.period]}{cancelled}"
        return *_result(content, due_minor, language), about
    if due_minor:
        return f"Due by {language.date(issue.due_on)}", language.amount(due_minor), about
    return "Nothing to pay", language.amount(0), about


def _line(line: Line, content: Content, issue: Issue, language: Language) -> dict[str, Any]:
    saved = _saved(line)
    return {
        "number": str(line.number),
        "text": breaking(line.text),
        "notes": [breaking(note) for note in _notes(line, content, issue, language)],
        "quantity": language.number(line.quantity),
        "unit_price": language.number(line.unit_price, 6 if line.unit is Unit.USAGE else 2),
        "tax": "" if line.tax is None else language.percent(line.tax.rate),
        "savings": language.amount(saved) if saved else "",
        "net": language.amount(line.net_minor),
    }


def _notes(line: Line, content: Content, issue: Issue, language: Language) -> Iterator[str]:
    """What explains a line, one sentence each."""
    if line.actions:
        late = f", {language.number(line.late)} of them late" if line.late else ""
        yield f"{line.product} · {language.number(line.actions)} {'action' if line.actions == 1 else 'actions'}{late}"
    saved = (line.duplicate_savings_minor, "as duplicates"), (line.cap_savings_minor, "above the cap")
    if _saved(line):
        yield "Not billed: " + ", ".join(f"{language.amount(minor)} {why}" for minor, why in saved if minor)
    if line.corrects is not None and content.noted is None:
        yield f"Corrects bill {issue.corrected[line.corrects]} of {language.month(line.corrects)}"
    if line.kind is LineKind.OVERAGE and content.noted is None:
        counted = charged_by_source(content.usage, content.terms.usage_sources)
        sources = ", ".join(f"{source} {language.number(units)}" for source, units in sorted(counted.items()))
        units, included = sum(counted.values()), content.terms.monthly_limit or 0
        yield f"{language.number(units)} units counted ({sources}), {language.number(included)} of them included"
    if line.reason:
        yield line.reason


def _tax(block: TaxBlock, note: str | None, language: Language) -> dict[str, str | None]:
    return {
        "category": f"{_CATEGORIES[block.tax.category]} ({block.tax.category})",
        "rate": language.percent(block.tax.rate),
        "base": language.amount(block.base_minor),
        "tax": language.amount(block.tax_minor),
        "note": note and breaking(note),
    }


def _sums(content: Content, issue: Issue, language: Language) -> Iterator[tuple[str, str]]:
    totals = totals_of(content)
    yield "Net", language.amount(totals.net_minor)
    yield "Tax", language.amount(totals.tax_minor)
    if content.noted is not None:
        return
    yield "Gross", language.amount(totals.gross_minor)
    if totals.carried_forward_minor:
        yield "Carried forward as credit", language.amount(totals.carried_forward_minor)
    if issue.applied_minor:
        yield "Credit applied", language.amount(-issue.applied_minor)


def _result(content: Content, due_minor: int, language: Language) -> tuple[str, str]:
    if content.noted is None:
        return "Due", language.amount(due_minor)
    return "Credited", language.amount(totals_of(content).gross_minor)


def _payment(content: Content, issue: Issue, due_minor: int, language: Language) -> str:
    """What the partner is to do, in one or two sentences."""
    totals, currency = totals_of(content), content.currency
    if content.noted is not None:
        done = "credited" if totals.gross_minor >= 0 else "charged"
        return f"{currency} {language.amount(abs(totals.gross_minor))} are {done} to your account."
    if due_minor:
        due = f"{currency} {language.amount(due_minor)} by {language.date(issue.due_on)}"
        return f"Please pay {due} and name {issue.number}."
    if totals.carried_forward_minor:
        carried = language.amount(totals.carried_forward_minor)
        return f"There is nothing to pay. {currency} {carried} are carried forward as credit on your account."
    return "There is nothing to pay."


def _saved(line: Line) -> int:
    return line.duplicate_savings_minor + line.cap_savings_minor
