"""What the routes of customers take and give."""

from typing import Any

from api.schemas.fields import Body, Email, Id, Text
from api.wire import instant_out
from db.masters.customers import Customer


class CustomerIn(Body):
    """A customer to create; an unknown id with a known e-mail becomes an alias of that person."""

    external_id: Id
    name: Text
    email: Email


class CustomerChange(Body):
    """What to change of a customer."""

    name: Text | None = None
    email: Email | None = None


def customer_out_from_customer(customer: Customer) -> dict[str, Any]:
    """A customer with the other ids that mean this person."""
    return {
        "customer_id": customer.id,
        "external_id": customer.external_id,
        "name": customer.name,
        "email": customer.email,
        "aliases": customer.aliases,
        "created_at": instant_out(customer.created_at),
    }
