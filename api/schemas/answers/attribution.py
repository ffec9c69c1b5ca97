"""Attribution."""

from pydantic import Field

from api.schemas.answers.base import Answer, Money, Totals


class Attribution(Answer):
    """The part of one key; `credit` is what was billed, that of converting actions as the model divides it."""

    key: str
    totals: Totals
    customers: int = Field(description="those with an action that counts")
    cost_per_customer: Money | None
    return_rate: str | None = Field(
        description="the share of actions that are returned or credited", examples=["0.0250"]
    )
    credit: Money
