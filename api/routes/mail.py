"""Mail about bills: sending one, what became of mails, and trying again what was given up."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.routes.bills import no_bill
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import UuidPath
from api.schemas.mail import RetryMailsIn, SendIn, mail_out, sending_out
from api.state import state_of, unit_of_work
from api.wire import json_response
from db.bills.mail import outcome, sending
from db.core.engine import transaction
from db.mail import outgoing
from db.mail.outgoing import MailKind, MailState

router = APIRouter(route_class=Route, tags=["mail"])
_BILL = requires(Permission.BILL)


@router.post(
    "/api/bills/{bill_id}/send",
    status_code=202,
    dependencies=[_BILL],
    response_model=answers.BillMail,
    responses={200: {"model": answers.BillMail, "description": "With `dry_run`, or a mail that is still on its way."}},
)
async def send_bill(
    request: Request,
    bill_id: UuidPath,
    body: SendIn,
    dry_run: Annotated[bool, Query(description="show the mail and send nothing")] = False,
) -> Response:
    """Send an issued bill or credit note with its PDF to the partner's addresses of today; a task hands the mail over.

    Asked again, the bill is sent again; while its mail is on its way, the answer is 200 with that one.
    """
    if dry_run:
        async with transaction(state_of(request).engine, readonly=True) as connection:
            found = await sending.preview(connection, bill_id, body.digest)
    else:
        async with unit_of_work(request) as uow:
            found = await sending.send(uow, bill_id, body.digest)
    if found is None:
        raise no_bill(bill_id)
    return json_response(sending_out(found), 202 if found.mail_id and found.is_new else 200)


@router.get("/api/mails", dependencies=[requires(Permission.READ)], response_model=answers.Page[answers.Mail])
async def list_mails(
    request: Request,
    state: Annotated[
        Literal["waiting", "bounced", "given_up"] | None, Query(description="only those that stand so at an address")
    ] = None,
    kind: Annotated[Literal["bill", "reminder", "notice"] | None, Query(description="only these")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Mails about bills, the newest first, and where each stands at every address."""
    before = place_from_cursor(after, tuple[datetime, UUID])
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await outgoing.page(
            connection,
            state=MailState(state) if state else None,
            kind=MailKind(kind) if kind else None,
            before=before,
            limit=limit,
        )
    following = cursor_from_place((found[-1].created_at, found[-1].id)) if len(found) == limit else None
    return json_response({"items": [mail_out(mail) for mail in found], "next": following})


@router.post("/api/mails/retry", dependencies=[_BILL], response_model=answers.RetriedMails)
async def retry_mails(request: Request, body: RetryMailsIn) -> Response:
    """Send what was given up again, 1,000 mails at most. What bounced is sent again with its bill."""
    async with unit_of_work(request) as uow:
        return json_response({"retried": await outcome.retry(uow, body.ids)})
