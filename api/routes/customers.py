"""Customers: the people whose interest is billed, known by their e-mail (R12)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.access.permissions import Permission, requires
from api.ids import customer_id_of
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routes.tasks import task_started
from api.routing import Route
from api.schemas import answers
from api.schemas.customers import CustomerChange, CustomerIn, customer_out_from_customer
from api.schemas.fields import IdPath, QueryId
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.leads import Person
from db.core.engine import transaction
from db.masters import customers
from db.privacy import erased_names

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
    async with unit_of_work(request) as uow:
        customer, is_new = await customers.create(uow, body.external_id, Person(body.name, body.email))
    return json_response(customer_out_from_customer(customer), 201 if is_new else 200)


@router.get("", dependencies=[_READ], response_model=answers.Page[answers.Customer])
async def list_customers(
    request: Request,
    customer: Annotated[
        QueryId | None, Query(description="this one alone, by its own id, or an alias of it, or by its UUID")
    ] = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Customers by external id. With `customer` it is that one or none, also if its id is a word of a path."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        if customer:
            one = await customer_id_of(connection, customer)
            return json_response(
                {"items": [customer_out_from_customer(await customers.read(connection, one))], "next": None}
            )
        found = await customers.read_page(connection, after=place_from_cursor(after, str), limit=limit)
    following = cursor_from_place(found[-1].external_id) if len(found) == limit else None
    return json_response({"items": [customer_out_from_customer(each) for each in found], "next": following})


@router.get("/{customer:path}", dependencies=[_READ], response_model=answers.Customer)
async def get_customer(request: Request, customer: IdPath) -> Response:
    """One customer, by its own id or an alias."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        found = await customers.read(connection, await customer_id_of(connection, customer))
    return json_response(customer_out_from_customer(found))


@router.patch("/{customer:path}", dependencies=[_ADMIN], response_model=answers.Customer)
async def change_customer(request: Request, customer: IdPath, body: CustomerChange) -> Response:
    """Change a customer's name or e-mail."""
    if None in body.sent().values():
        raise Problem(400, "A customer must have a name and an e-mail; they cannot be null.")
    async with unit_of_work(request) as uow:
        changed = await customers.change(uow, await customer_id_of(uow.connection, customer), body.sent())
    return json_response(customer_out_from_customer(changed))


@router.post("/{customer:path}/erase", status_code=202, dependencies=[_ADMIN], response_model=answers.TaskStarted)
async def erase_customer(request: Request, customer: IdPath) -> Response:
    """Erase a person: name, e-mail and ids as they were spelled go, here, in what callers sent and in report files.

    The key, every sum, verdict and digest stay. Leads with the same customer id go on to mean the same, unnamed person.
    """
    async with unit_of_work(request) as uow:
        task_id = await erased_names.start(uow, await customer_id_of(uow.connection, customer), customer)
    return task_started(task_id)
