"""Products."""

from datetime import datetime
from uuid import UUID

from api.schemas.answers.base import Answer


class Product(Answer):
    """What a lead can be about; `partner` is the partner's own id."""

    product_id: UUID
    external_id: str
    partner: str
    name: str
    description: str | None
    created_at: datetime
