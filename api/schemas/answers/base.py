"""What the answers of all routes are made of."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")

Money = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{2}$", examples=["10.00"])]
Month = Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2024-04"])]


class Answer(BaseModel):
    """Nothing but the fields that it names."""

    model_config = ConfigDict(extra="forbid")


class Page(Answer, Generic[Item]):
    """Some items, and where the next page begins."""

    items: list[Item]
    next: str | None = Field(description="send it as `after` for the next page; null on the last one")


class WrittenTotals(Answer):
    """Totals as a version has them; releases up to 0.2 kept what was credited of the whole report only."""

    leads: int
    actions: int
    gross: Money
    billed: Money
    credited: Money | None
    net: Money | None
    duplicate_savings: Money
    cap_savings: Money
    savings: Money
    held: Money
    returned: Money


class Totals(WrittenTotals):
    """gross = billed + duplicate_savings + cap_savings + held + returned; net = billed - credited (R14)."""

    credited: Money
    net: Money


class FieldError(Answer):
    """One bad field."""

    pointer: str
    index: int | None = None
    detail: str
