"""What the routes of products take and give."""

from typing import Any

from api.schemas.fields import Body, Id, LongText, Text
from api.wire import instant_out
from db.masters.products import Product


class ProductIn(Body):
    """A product to create; it belongs to its partner for ever."""

    external_id: Id
    partner: Id
    name: Text
    description: LongText | None = None


class ProductChange(Body):
    """What to change; a field that is left out stays as it is, and only the description may be null."""

    name: Text | None = None
    description: LongText | None = None


def product_out_from_product(product: Product) -> dict[str, Any]:
    """The JSON of `answers.Product`; `partner` is the partner's own id."""
    return {
        "product_id": product.id,
        "external_id": product.external_id,
        "partner": product.partner,
        "name": product.name,
        "description": product.description,
        "created_at": instant_out(product.created_at),
    }
