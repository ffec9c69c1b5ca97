"""Write-offs and disputes of issued bills (B8, B9)."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from api.access.movers import mover_of
from api.access.permissions import Permission, requires
from api.problems import Problem
from api.routes.bills import bill_answer, no_bill
from api.routing import Route
from api.schemas import answers
from api.schemas.account import ReversalIn
from api.schemas.bills import DisputeIn
from api.schemas.fields import UuidPath
from api.state import unit_of_work
from api.wire import json_response
from billing.roles import Role
from db.bills import disputes, write_offs

router = APIRouter(route_class=Route, prefix="/api/bills", tags=["account"])
_BILL = requires(Permission.BILL)


@router.post("/{bill_id}/write-off", dependencies=[_BILL], response_model=answers.Bill)
async def write_off_bill(request: Request, bill_id: UuidPath, body: ReversalIn) -> Response:
    """Write off what is open of a bill; above the seller's small amount only an Admin does. Repeating it is safe."""
    is_admin = mover_of(request).role is Role.ADMIN
    async with unit_of_work(request) as uow:
        if not await write_offs.write_off(uow, bill_id, body.reason, is_admin, datetime.now(UTC)):
            raise no_bill(bill_id)
        content = await bill_answer(request, uow.connection, bill_id)
    return json_response(content)


@router.delete("/{bill_id}/write-off", dependencies=[_BILL], response_model=answers.Bill)
async def take_back_write_off(request: Request, bill_id: UuidPath, body: ReversalIn) -> Response:
    """Take a write-off back: the bill is open again."""
    async with unit_of_work(request) as uow:
        if not await write_offs.take_back(uow, bill_id, body.reason, datetime.now(UTC)):
            raise Problem(404, f"There is no bill {bill_id} that was written off.")
        content = await bill_answer(request, uow.connection, bill_id)
    return json_response(content)


@router.patch("/{bill_id}/dispute", dependencies=[_BILL], response_model=answers.Bill)
async def dispute_bill(request: Request, bill_id: UuidPath, body: DisputeIn) -> Response:
    """Say why a bill is disputed, or with null that it is not any more; credit covers a disputed one by hand only."""
    async with unit_of_work(request) as uow:
        if not await disputes.dispute(uow, bill_id, body.digest, body.reason, datetime.now(UTC)):
            raise no_bill(bill_id)
        content = await bill_answer(request, uow.connection, bill_id)
    return json_response(content)
