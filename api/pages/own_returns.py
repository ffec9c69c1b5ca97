"""A partner's own people ask for returns, and see what became of them (B8)."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.forms import sent_file
from api.ids import possible_lead_ids
from api.pages.forms import Form, submitted
from api.pages.languages import language_of_partner
from api.pages.lists import PER_PAGE, beside
from api.pages.rendering import led_to, page
from api.pages.sent_csv import sent_csv
from api.paging import After, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes.returns import Named, named_in_rows, returned
from api.routing import Route
from api.schemas.returns import ReturnsIn, rows_of_returns
from api.state import state_of
from billing.bills.return_reasons import LISTED
from db.bills import return_records
from db.bills.return_records import ReturnState
from db.bills.returning import Returned
from db.contracts import billing_terms
from db.core.engine import transaction
from db.masters import partners

PATH = "/partner/returns"
router = APIRouter(route_class=Route, include_in_schema=False, prefix=PATH)
_READ = requires(Permission.READ, within_partner=True)


@router.get("", dependencies=[_READ])
async def show_returns(request: Request, after: After = None) -> Response:
    """The form, and what was asked for, the newest first; our own people are led to all partners."""
    return await _show(request, Form(), after)


@router.post("", dependencies=[_READ])
async def ask_returns_here(request: Request) -> Response:
    """Ask for the return of leads or of the rows of a file; asked again, nothing changes."""

    async def act(form: Form) -> Response:
        if own_partner(request) is None:
            raise Problem(403, "Here a partner's own people ask for returns; return an action on the page of its lead.")
        if sent_file(request, "file").name:
            named = named_in_rows(await sent_csv(request, rows_of_returns))
        else:
            named = _leads(form.read_as(ReturnsIn, _sent(form)))
        return led_to(request, PATH, said_of(await returned(request, named)))

    async def show(asked: Request, form: Form) -> Response:
        return await _show(asked, form, None)

    return await submitted(request, act, show)


def reason_from_form(form: Form) -> dict[str, str]:
    """The reason that was chosen and what was typed beside it, as the API takes them."""
    typed = {name: form.value(name).strip() for name in ("reason", "text")}
    return {name: text for name, text in typed.items() if text}


async def reasons_of(connection: asyncpg.Connection, partner_id: UUID) -> list[tuple[str, str]]:
    """The reasons that may be chosen for actions of a partner, each with what it is called."""
    newest = await billing_terms.read_newest(connection, [partner_id])
    own = newest[partner_id][1].return_reasons if partner_id in newest else ()
    return [(reason, reason.replace("_", " ").capitalize()) for reason in dict.fromkeys((*own, *LISTED))]


def said_of(results: Sequence[Returned]) -> str:
    """What became of what was asked, in a sentence or two; of those that cannot be returned the first cause."""
    counted = {state: [each for each in results if each.state is state] for state in ReturnState}
    said = [f"Asked for the return of {_actions(counted[ReturnState.ASKED])}."] if counted[ReturnState.ASKED] else []
    if counted[ReturnState.RETURNED]:
        said.append(f"Returned: {_actions(counted[ReturnState.RETURNED])}.")
    if refused := counted[ReturnState.REFUSED]:
        said.append(f"Not to be returned: {_actions(refused)}. {refused[0].detail}")
    return " ".join(said)


def _actions(some: Sequence[Returned]) -> str:
    return f"{len(some):,} action{'s' if len(some) != 1 else ''}"


def _sent(form: Form) -> dict[str, object]:
    leads = [line.strip() for line in form.value("leads").splitlines() if line.strip()]
    return {"leads": leads, "source": form.value("source").strip(), "reason": reason_from_form(form)}


def _leads(body: ReturnsIn) -> list[Named]:
    return [
        (f"Lead {text}", possible_lead_ids(body.source or "", text), True, body.reason) for text in body.leads or ()
    ]


async def _show(request: Request, form: Form, after: str | None) -> Response:
    if (within := own_partner(request)) is None:
        return led_to(request, "/partners")
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner, reasons = await partners.read(connection, within), await reasons_of(connection, within)
        language = await language_of_partner(connection, within)
        found = await return_records.page(
            connection,
            partner_id=within,
            state=None,
            before=place_from_cursor(after, tuple[datetime, UUID]),
            limit=PER_PAGE,
        )
    following = cursor_from_place((found[-1].asked_at, found[-1].action_id)) if len(found) == PER_PAGE else None
    return page(
        request,
        "own_returns.html",
        status=form.status,
        language=language,
        form=form,
        partner=partner,
        reasons=reasons,
        returns=found,
        links=beside(request, {}, following),
    )
