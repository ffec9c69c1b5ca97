"""What would have been billed with other settings."""

from typing import Literal
from uuid import UUID

from api.schemas.answers.base import Answer, Money, Month


class WhatIfSum(Answer):
    """What is billed to a partner in all months looked at, as it is and as it would be."""

    partner: str
    currency: str
    before: Money
    after: Money
    difference: Money


class WhatIfDifference(WhatIfSum):
    """The same for a customer and a month; where nothing would differ there is none."""

    period: Month
    customer: str


class WhatIf(Answer):
    """A look at other settings: a page of the differences, and the sums once it is done."""

    task_id: UUID
    state: Literal["waiting", "running", "done", "failed"]
    error: str | None
    sums: list[WhatIfSum] | None
    items: list[WhatIfDifference]
    next: str | None
