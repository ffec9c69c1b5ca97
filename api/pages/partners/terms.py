"""What is agreed with a partner: the terms today, every version of them, and forms that change some."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Caller, Permission, caller_of, requires
from api.access.visibility import without_names
from api.pages.forms import Form, number_from_text, submitted
from api.pages.lists import path_to
from api.pages.partners.heading import Heading, heading_of
from api.pages.partners.terms_in_words import Field, Reader
from api.pages.rendering import led_to, page, words_of
from api.pages.words import TAXES
from api.problems import FieldError, Problem
from api.routes.partners import change_partner
from api.routing import Route
from api.schemas.partners import PartnerChange, partner_out_from_partner
from api.state import state_of
from db.contracts import reading
from db.core.engine import transaction
from db.masters import partners

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/partners/{partner}/terms")

_WAS = "was-"
"""Before the name of a field: what it said when the form was shown. What nobody touched is not sent."""
_APPROVAL = re.compile(r"(\w+)(?:\s+above\s+([0-9.,]+))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are changed together, and who may."""

    name: str
    hint: str
    permission: Permission
    fields: tuple[Field, ...]


GROUPS = (
    Group(
        "Bills",
        "They change no verdict, and count from the first month whose bill is not issued.",
        Permission.BILL,
        (
            Field("address", "Address", "As it stands on the bill, line by line.", "lines"),
            Field("tax_id", "Tax id"),
            Field("po_number", "PO number", "Printed on every bill."),
            Field("payment_days", "Days to pay", "From the issue date to the due date.", "number", unit="days"),
            Field(
                "tax.category",
                "Tax",
                kind="choice",
                options=(("", "None"), *TAXES.items()),
            ),
            Field("tax.rate", "Tax rate", "In percent, like 20.00; 0.00 for all but the standard rate.", "percent"),
            Field("tax.note", "Note on the tax", "Printed beside it."),
            Field(
                "monthly_api_limit", "Units that cost nothing", "In a month; empty: no limit.", "number", unit="units"
            ),
            Field("overage_unit_cost", "Cost of each unit above", "Up to six decimals, like 0.012500.", "price"),
            Field("usage_sources", "Sources whose units count", "With commas; empty: all that report.", "list"),
            Field("return_days", "Days for returns", "After the issue date; empty: no limit.", "number", unit="days"),
            Field("start_date", "Start of the contract", kind="date"),
            Field("end_date", "End of the contract", kind="date"),
            Field("csm", "Customer success manager", "The e-mail of a person here."),
            Field("preferences.emails", "E-mails for bills", "With commas; empty: the billing e-mail.", "list"),
            Field("preferences.send", "Send an issued bill at once", kind="yes"),
            Field("preferences.auto_issue", "A run issues approved bills", kind="yes"),
            Field("preferences.language", "Language of bills", "Like en, de or de-AT.", "language"),
            Field("preferences.paper", "Paper", kind="choice", options=(("A4", "A4"), ("Letter", "Letter"))),
        ),
    ),
    Group(
        "Partner, cap and duplicates",
        "They decide what is billed. They count from the first open month, and open actions are evaluated again.",
        Permission.PRICING,
        (
            Field("name", "Name"),
            Field("billing_email", "Billing e-mail", kind="email"),
            Field("cap", "Cap", "The most that one customer costs; empty: no cap.", "amount"),
            Field(
                "cap_scope",
                "The cap counts",
                kind="choice",
                options=(("period", "Within a month"), ("lifetime", "For ever")),
            ),
            Field("dedup_window", "Duplicates within", "forever, period, or a number of days.", "window"),
            Field("timezone", "Time zone", "Its months begin and end in it."),
        ),
    ),
    Group(
        "Approval and numbers",
        "Only Admins change them.",
        Permission.ADMIN,
        (
            Field("require_csm_approval", "The customer success manager must approve", kind="yes"),
            Field(
                "preferences.approvals",
                "Approvals",
                "One a line: csm, customer_success, sales or any, also like: sales above 1000.00. "
                "The word none: no approval; empty: what the line above says.",
                "approvals",
            ),
            Field("billing_from", "First month with a bill", "Like 2024-04, until one is issued.", "month"),
            Field("preferences.number_prefix", "Letters before bill numbers", "Until the first bill is issued."),
            Field("preferences.first_number", "First bill number", "Until the first bill is issued.", "number"),
        ),
    ),
)
_FIELDS = {field.name: field for group in GROUPS for field in group.fields}


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_terms(request: Request, partner: str) -> Response:
    """The terms, their versions and the forms for those who may change them."""
    return await _show(request, Form(), partner)


@router.post("", dependencies=[requires(Permission.PRICING, or_else=Permission.BILL)])
async def change_terms_here(request: Request, partner: str) -> Response:
    """Change what was touched."""

    async def act(form: Form) -> Response:
        sent = _sent(form)
        if not sent:
            raise Problem(400, "Nothing was changed: change a field first.")
        if period := form.value("effective_period").strip():
            sent["effective_period"] = period
        await change_partner(request, partner, form.read_as(PartnerChange, sent))
        said = "The terms are changed; open actions are evaluated again where that is needed."
        return led_to(request, path_to("partners", partner, "terms"), said)

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, partner)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, partner: str) -> Response:
    async with transaction(state_of(request).engine, readonly=True) as connection:
        heading = await heading_of(request, connection, partner)
        versions = await _versions(request, connection, heading)
    now = versions[-1][1]
    reader = Reader(words_of(request, heading.language), heading.partner.currency)
    shown = {name: reader.read(_FIELDS[name], text) for name, text in now.items()}
    return page(
        request,
        "partners/terms.html",
        status=form.status,
        form=form,
        heading=heading,
        language=heading.language,
        changeable=[group for group in GROUPS if _is_open(caller_of(request), group)],
        agreed=GROUPS,
        now=now,
        shown=shown,
        unset={group.name: [field.label for field in group.fields if not shown[field.name]] for group in GROUPS},
        changes=_changes(versions, reader),
        labels={name: field.label for name, field in _FIELDS.items()} | {"effective_period": "From which month on"},
    )


def _is_open(caller: Caller, group: Group) -> bool:
    return caller.partner_id is None and caller.may(group.permission)


async def _versions(
    request: Request, connection: asyncpg.Connection, heading: Heading
) -> list[tuple[int, dict[str, str]]]:
    """Every version of the terms as texts by name, oldest first, each with its first period."""
    versions = []
    for start in await reading.starts_of_versions(connection, heading.partner.id):
        partner = await partners.read(connection, heading.partner.id, start)
        assert partner is not None
        contract = await reading.read(connection, heading.partner.id, start)
        content = partner_out_from_partner(partner, contract) | {"csm": contract.csm and contract.csm.email}
        content = without_names(request, content, "csm")
        versions.append((start, {name: _text(_value(content, name)) for name in _FIELDS}))
    return versions


def _changes(
    versions: list[tuple[int, dict[str, str]]], reader: Reader
) -> list[tuple[int, list[tuple[str, str, str]]]]:
    """Per version but the first, the newest first: label, before and after of what changed."""
    steps = itertools.pairwise(versions)
    changed = [
        (start, [(name, before[name], after[name]) for name in after if before[name] != after[name]])
        for (_, before), (start, after) in steps
    ]
    return [
        (
            start,
            [
                (_FIELDS[name].label, reader.read(_FIELDS[name], before), reader.read(_FIELDS[name], after))
                for name, before, after in differing
            ],
        )
        for start, differing in reversed(changed)
        if differing
    ]


def _value(content: Mapping[str, Any], name: str) -> Any:
    value: Any = content
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    """A value of the API as it is typed."""
    match value:
        case None | False | [] | ():
            return ""
        case True:
            return "yes"
        case {"by": by, "above": above}:
            return f"{by} above {above}" if above else str(by)
        case [{"by": _}, *_]:
            return "\n".join(_text(each) for each in value)
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def _sent(form: Form) -> dict[str, Any]:
    """What was touched, as the API takes it."""
    touched = {name for name in _FIELDS if _typed(form, name) != _typed(form, f"{_WAS}{name}")}
    if touched & {"tax.category", "tax.rate", "tax.note"}:
        touched |= {"tax.category", "tax.rate", "tax.note"}
    sent: dict[str, Any] = {}
    for name in sorted(touched):
        outer, _, inner = name.partition(".")
        kind = _FIELDS[name].kind
        value = form.amount(name) or None if kind == "amount" else _wire(kind, _typed(form, name))
        if inner:
            sent.setdefault(outer, {})[inner] = value
        else:
            sent[outer] = value
    if "tax" in sent:
        tax = sent["tax"]
        sent["tax"] = tax | {"rate": tax["rate"] or "0.00"} if tax["category"] else None
    return sent


def _typed(form: Form, name: str) -> str:
    return form.value(name).strip().replace("\r\n", "\n")


def _wire(kind: str, text: str) -> Any:
    """What was typed as the API takes it; what cannot be read goes as it is, and the API says why not."""
    match kind:
        case "yes":
            return text == "yes"
        case "number" | "window":
            return number_from_text(text) if text else None
        case "list":
            return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
        case "approvals":
            return _approvals(text)
        case _:
            return text or None


def _approvals(text: str) -> list[dict[str, str | None]] | None:
    if not text:
        return None
    if text.lower() == "none":
        return []
    found = [_APPROVAL.fullmatch(line.strip()) for line in text.splitlines() if line.strip()]
    if None in found:
        wrong = "must be lines like: sales above 1000.00"
        raise Problem(400, "An approval cannot be read.", [FieldError("#/preferences/approvals", wrong)])
    return [{"by": each[1].lower(), "above": each[2]} for each in found if each]
