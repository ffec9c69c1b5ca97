"""The bills: which of them needs me, and one move of many at once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, NamedTuple
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Request, Response

from api.access.movers import waiting_caller
from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner
from api.ids import partner_id_of
from api.pages.exports import ExportKind, exported_list, files_of, money
from api.pages.forms import Form, submitted
from api.pages.languages import language_of_partner
from api.pages.lists import PER_PAGE, beside, link, month_from_text, up_to
from api.pages.rendering import led_to, page
from api.pages.sorting import Sorting, column_of, in_query, order_from_text
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import FieldError, Problem
from api.routes.bills import moved_bills
from api.routing import Route
from api.schemas.bills import MovesIn
from api.state import state_of
from billing.bills.states import Move
from billing.periods import text_from_period
from db.bills import overdue, records
from db.bills.filters import BillFilter
from db.bills.orders import BillOrder, Place
from db.bills.records import BillHead, most_counted
from db.core.engine import transaction
from db.reports.sheets import Cell

router = APIRouter(route_class=Route, include_in_schema=False)


class Tab(NamedTuple):
    """A stage of bills, and what can be done there with many at once; `sorts` are columns that differ there."""

    name: str
    label: str
    for_partners: bool = False
    move: Move | None = None
    sorts: tuple[str, ...] = ("created", "gross")


_ALL_SORTS = ("created", "gross", "open", "due")
TABS = (
    Tab("mine", "For you"),
    Tab("draft", "Draft", move=Move.SUBMIT),
    Tab("pending", "Pending", move=Move.APPROVE),
    Tab("approved", "Approved", move=Move.ISSUE),
    Tab("rejected", "Rejected"),
    Tab("issued", "To be paid", for_partners=True, sorts=_ALL_SORTS),
    Tab("overdue", "Overdue", for_partners=True, sorts=_ALL_SORTS),
    Tab("paid", "Paid", for_partners=True, sorts=("created", "gross", "due")),
    Tab("overage", "With overage", for_partners=True, sorts=("created", "gross", "due")),
    Tab("", "All", for_partners=True, sorts=_ALL_SORTS),
)
_COLUMNS: dict[str, Callable[[BillHead], Cell]] = {
    "number": lambda head: head.number,
    "kind": lambda head: "credit note" if head.corrects_id else "bill",
    "state": lambda head: head.shown_state,
    "partner": lambda head: head.partner,
    "partner_name": lambda head: head.partner_name,
    "period": lambda head: text_from_period(head.period),
    "issued_on": lambda head: head.issued_on.isoformat() if head.issued_on else None,
    "due_on": lambda head: head.due_on.isoformat() if head.due_on else None,
    "net": lambda head: money(head.totals.net_minor),
    "tax": lambda head: money(head.totals.tax_minor),
    "gross": lambda head: money(head.totals.gross_minor),
    "open": lambda head: money(head.open_minor),
    "currency": lambda head: head.currency,
    "dispute": lambda head: head.dispute,
    "bill_id": lambda head: str(head.id),
}
_WAYS: dict[str, str] = {
    BillOrder.NEWEST: "newest",
    BillOrder.OLDEST: "oldest",
    BillOrder.LARGEST: "largest gross",
    BillOrder.SMALLEST: "smallest gross",
    BillOrder.MOST_OPEN: "most open",
    BillOrder.FIRST_DUE: "earliest due",
    BillOrder.LAST_DUE: "latest due",
}
_NARROWING = ("partner", "period", "number")
_FILTERS = ("state", *_NARROWING, "order")
_WORDS = {Move.SUBMIT: "Submit", Move.APPROVE: "Approve", Move.ISSUE: "Issue"}
_DONE = {Move.SUBMIT: "submitted", Move.APPROVE: "approved", Move.ISSUE: "issued"}


@router.get("/bills", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_bills(
    request: Request,
    state: str = "",
    partner: str = "",
    period: Annotated[str, Query(description="a month like 2024-04")] = "",
    number: str = "",
    order: BillOrder = BillOrder.NEWEST,
    after: After = None,
) -> Response:
    """Bills and credit notes of one stage, the newest first unless another order is asked for."""
    return await _show(request, Form(), _asked(state, partner, period, number, order), after)


@router.get("/bills/export", dependencies=[requires(Permission.READ, within_partner=True)])
async def export_bills(
    request: Request,
    kind: ExportKind = "csv",
    state: str = "",
    partner: str = "",
    period: str = "",
    number: str = "",
    order: BillOrder = BillOrder.NEWEST,
) -> Response:
    """The same bills as a file, all of them, in the same order."""
    asked = _asked(state, partner, period, number, order)

    async def read(
        connection: asyncpg.Connection, before: Place | None, limit: int
    ) -> tuple[list[BillHead], Place | None]:
        only = await _filter(request, connection, asked, _tab(state))
        found = await records.page(connection, only, before=before, limit=limit, order=order)
        return found, _following(order, found, limit)

    return await exported_list(request, kind, "bills", _COLUMNS, read)


@router.post("/bills", dependencies=[requires(Permission.READ)])
async def move_many_bills(request: Request) -> Response:
    """Make one move of all bills that were chosen."""

    async def act(form: Form) -> Response:
        chosen = [dict(zip(("bill", "digest"), each.split(":"), strict=False)) for each in form.all("bill")]
        if not chosen:
            raise Problem(400, "Choose the bills first.")
        body = form.read_as(MovesIn, {"move": form.value("move"), "comment": form.value("comment"), "bills": chosen})
        if Move(body.move) is Move.ISSUE and form.value("confirmed").strip() != str(len(chosen)):
            wrong = [FieldError("#/confirmed", f"must be {len(chosen)}")]
            raise Problem(400, "The count of the bills is another one.", wrong)
        results = await moved_bills(request, body)
        refused = [each["detail"] for each in results if each["status"] != 200]
        done = [each["bill"] for each in results if each["status"] == 200]
        moved, in_all = _DONE.get(Move(body.move), "moved"), await _sum(request, form, done)
        said = f"{len(done)} of {len(results)} bills {moved}{in_all}."
        if refused:
            raise Problem(409, " ".join([said, *dict.fromkeys(refused)][:6]))
        return led_to(request, link("/bills", {name: form.value(name) for name in _FILTERS}), said)

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, {name: form.value(name) for name in _FILTERS}, None)

    return await submitted(request, act, show)


async def _show(request: Request, form: Form, asked: dict[str, str], after: str | None) -> Response:
    tabs = [each for each in TABS if own_partner(request) is None or each.for_partners]
    tab, order = _tab(asked["state"]), order_from_text(asked["order"], BillOrder, BillOrder.NEWEST)
    before = place_from_cursor(after, order.place_kind)
    found: list[BillHead] = []
    language = ""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        try:
            only = await _filter(request, connection, asked, tab)
            found = await records.page(connection, only, before=before, limit=PER_PAGE, order=order)
            language = await language_of_partner(connection, only.partner_id)
        except Problem as problem:
            form.refuse(problem)
        following = _following(order, found, PER_PAGE)
        is_whole = form.status == 200 and not (before or following or any(asked[name] for name in _NARROWING))
        wanted = {each: await _filter(request, connection, {}, each) for each in tabs}
        unseen = [each for each in tabs if each != tab or not is_whole]
        counted = await records.counts(connection, [wanted[each] for each in unseen])
        overdue_ids = await overdue.among(connection, found, datetime.now(UTC))
    counts = dict.fromkeys(tabs, len(found)) | dict(zip(unseen, counted, strict=True))
    return page(
        request,
        "bills.html",
        status=form.status,
        language=language,
        form=form,
        asked=asked,
        tab=tab,
        tabs=[
            (
                each,
                link("/bills", {**asked, "state": each.name, "order": asked["order"] if _sorts(each, order) else ""}),
                up_to(counts[each], most_counted(wanted[each])) if counts[each] else "",
            )
            for each in tabs
        ],
        sorting=Sorting(
            "/bills", asked, order, {each: _WAYS[each] for each in _WAYS if _sorts(tab, each) or each == order}
        ),
        bills=found,
        overdue=overdue_ids,
        currencies={head.currency for head in found},
        move=tab.move if tab.move and _may(request, tab.move) else None,
        words_of_move=_WORDS,
        files=files_of("/bills/export", asked),
        **beside(request, asked, cursor_from_place(following) if following else None),
    )


async def _sum(request: Request, form: Form, bill_ids: Sequence[UUID]) -> str:
    """What bills ask for together: ", 360.00 EUR in all"; nothing of no bill."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        heads = await records.read_heads(connection, bill_ids)
    sums: Counter[str] = Counter()
    for head in heads:
        sums[head.currency] += head.totals.gross_minor
    amounts = [f"{form.words.amount(minor)} {currency}" for currency, minor in sorted(sums.items())]
    return f", {' and '.join(amounts)} in all" if amounts else ""


async def _filter(request: Request, connection: asyncpg.Connection, asked: Mapping[str, str], tab: Tab) -> BillFilter:
    within, partner, period = own_partner(request), asked.get("partner"), asked.get("period")
    state = tab.name if tab.name not in ("mine", "overdue", "overage") else ""
    return BillFilter(
        partner_id=await partner_id_of(connection, partner, within=within) if partner else within,
        period=month_from_text(period) if period else None,
        state=state or None,
        overdue_at=datetime.now(UTC) if tab.name == "overdue" else None,
        number=asked.get("number") or None,
        is_note=False if tab.name == "issued" else None,
        issued_only=within is not None,
        waiting_for=waiting_caller(request) if tab.name == "mine" else None,
        with_overage=tab.name == "overage",
    )


def _asked(state: str, partner: str, period: str, number: str, order: BillOrder) -> dict[str, str]:
    asked = {"state": state, "partner": partner.strip(), "period": period.strip(), "number": number.strip()}
    return asked | {"order": in_query(order, _WAYS)}


def _sorts(tab: Tab, order: str) -> bool:
    return column_of(order) in tab.sorts


def _sorting(asked: Mapping[str, str], tab: Tab, order: BillOrder) -> Sorting:
    ways = {each: words for each, words in _WAYS.items() if _sorts(tab, each) or each == order}
    return Sorting("/bills", asked, order, ways)


def _tab(state: str) -> Tab:
    return next((each for each in TABS if each.name == state), TABS[-1])


def _following(order: BillOrder, found: Sequence[BillHead], limit: int) -> Place | None:
    return records.place_of(order, found[-1]) if len(found) == limit else None


def _may(request: Request, move: Move) -> bool:
    """Whether the person is offered a move of many; each bill still says whether it is theirs."""
    caller = caller_of(request)
    if move is not Move.APPROVE:
        return caller.may(Permission.BILL)
    return caller.session is not None and (caller.may(Permission.ADMIN) or not caller.may(Permission.BILL))
