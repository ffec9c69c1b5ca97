"""Customers: the people whose interest is billed, known by their e-mail (R12)."""

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.ids import customer_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes.tasks import accepted_task
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import IdPath
from api.schemas.masters import CustomerChange, CustomerIn, customer_out_from_row
from api.state import state_of
from api.wire import json_response
from billing.leads import Person
from db.core import locks
from db.core.engine import transaction
from db.core.row_keys import customer_uuid
from db.masters import customers
from db.tasks import records
from db.tasks.notifications import RETRY_QUARANTINE

router = APIRouter(route_class=Route, prefix="/api/customers", tags=["customers"])
_READ = requires(Permission.READ)
_ADMIN = requires(Permission.ADMIN)


@router.post(
    "",
    status_code=201,
    dependencies=[_ADMIN],
    response_model=answers.Customer,
    responses={
        200: {
            "model": answers.Customer,
            "description": "It is there already, or the id is now an alias of the person with this e-mail.",
        }
    },
)
async def create_customer(request: Request, body: CustomerIn) -> Response:
    """Create a customer. An unknown id with a known e-mail becomes an alias of that person (200)."""
    state = state_of(request)
    own_id = customer_uuid(body.external_id)
    async with transaction(state.engine) as connection:
        await locks.lock_people_exclusive(connection)
        known = own_id in await customers.resolve(connection, [own_id])
        person_id = (await customers.ensure(connection, {body.external_id: Person(body.name, body.email)}))[own_id]
        row = await customers.customer(connection, person_id)
    assert row is not None
    if known:
        for name in ("name", "email") if person_id == own_id else ("email",):
            if getattr(body, name) != row[name]:
                raise Problem(409, f"Customer {body.external_id!r} exists with another {name}.")
    else:
        state.notifier.notify(RETRY_QUARANTINE, request_id=request.scope["request_id"])
    created = not known and person_id == own_id
    return json_response(customer_out_from_row(row), 201 if created else 200)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Customer])
async def list_customers(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Customers by external id."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        rows = await customers.page(connection, after=place_from_cursor(after, str), limit=limit)
    following = cursor_from_place(rows[-1]["external_id"]) if len(rows) == limit else None
    return json_response({"items": [customer_out_from_row(row) for row in rows], "next": following})


@router.get("/{customer:path}", dependencies=[_READ], response_model=answers.Customer)
async def get_customer(request: Request, customer: IdPath) -> Response:
    """One customer, by its own id or an alias."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        row = await customers.customer(connection, await customer_id_of(connection, customer))
    assert row is not None
    return json_response(customer_out_from_row(row))


@router.patch("/{customer:path}", dependencies=[_ADMIN], response_model=answers.Customer)
async def change_customer(request: Request, customer: IdPath, body: CustomerChange) -> Response:
    """Change a customer's name or e-mail."""
    if None in body.sent().values():
        raise Problem(400, "A customer must have a name and an e-mail; they cannot be null.")
    async with transaction(state_of(request).engine) as connection:
        customer_id = await customer_id_of(connection, customer)
        if not await customers.change(connection, customer_id, body.sent()):
            raise Problem(409, f"Another customer has the e-mail {body.email!r}.")
        row = await customers.customer(connection, customer_id)
    assert row is not None
    return json_response(customer_out_from_row(row))


@router.post("/{customer:path}/erase", status_code=202, dependencies=[_ADMIN], response_model=answers.TaskStarted)
async def erase_customer(request: Request, customer: IdPath) -> Response:
    """Erase a person: name, e-mail and ids as they were spelled go, here, in what callers sent and in report files.

    The key, every sum, verdict and digest stay. Leads with the same customer id go on to mean the same, unnamed person.
    """
    async with transaction(state_of(request).engine) as connection:
        customer_id = await customer_id_of(connection, customer)
        arguments = {"customer_id": customer_id, "asked_as": customer}
        task_id = await records.create(connection, "erase", arguments, request.scope["request_id"])
    return accepted_task(request, task_id)
