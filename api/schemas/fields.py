"""Field types that the request models share; the error of each says what it accepts."""

from datetime import date, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, WithJsonSchema

from api.schemas.instants import day_from_text, day_or_instant_from_text, instant_from_text
from billing.errors import InvalidValue
from billing.identity import check_id
from billing.leads import EngagementLevel
from billing.money import MOST_MINOR, MOST_PER_ACTION_MINOR, amount_up_to, check_currency
from billing.periods import period_from_text
from billing.terms import DuplicateWindow, window_from_wire
from billing.texts import LONGEST_TEXT, text_from_wire, text_key
from billing.zones import check_timezone
from db.access.passwords import LONGEST as LONGEST_PASSWORD
from db.access.passwords import SHORTEST as SHORTEST_PASSWORD
from db.access.passwords import check_password
from db.core.row_keys import uuid_from_text
from db.masters.emails import LONGEST_EMAIL, email_from_wire

LONGEST_LONG_TEXT = 2000
_PERIOD = "^(19|[2-9][0-9])[0-9]{2}-(0[1-9]|1[0-2])$"


def _long_text(value: object) -> str:
    return text_from_wire(value, LONGEST_LONG_TEXT)


def _uuid(value: object) -> UUID:
    key = uuid_from_text(value) if isinstance(value, str) else None
    if key is None:
        raise InvalidValue('must be a UUID, like "0f8fad5b-d9cb-469f-a165-70867728950e"')
    return key


def _level(value: str) -> str:
    if text_key(value) not in set(EngagementLevel):
        raise InvalidValue("must be High, Medium or Low")
    return value


def _period(value: object) -> int:
    if not isinstance(value, str):
        raise InvalidValue('must be a month, like "2024-04"')
    return period_from_text(value)


def _start(value: object) -> datetime | int:
    return (
        period_from_text(value) if isinstance(value, str) and len(value) == len("2024-05") else instant_from_text(value)
    )


Id = Annotated[str, BeforeValidator(check_id), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200})]
Text = Annotated[
    str,
    BeforeValidator(text_from_wire),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}),
]
LongText = Annotated[
    str,
    BeforeValidator(_long_text),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_LONG_TEXT}),
]
Email = Annotated[str, BeforeValidator(email_from_wire), WithJsonSchema({"type": "string", "maxLength": LONGEST_EMAIL})]
Password = Annotated[
    str,
    BeforeValidator(check_password),
    WithJsonSchema(
        {"type": "string", "format": "password", "minLength": SHORTEST_PASSWORD, "maxLength": LONGEST_PASSWORD}
    ),
]
Level = Annotated[
    str, BeforeValidator(text_from_wire), AfterValidator(_level), WithJsonSchema({"enum": ["High", "Medium", "Low"]})
]
Amount = Annotated[
    int,
    BeforeValidator(partial(amount_up_to, MOST_MINOR)),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^((0|[1-9][0-9]{0,8})(\.[0-9]{1,2})?|1000000000(\.00?)?)$",
            "examples": ["10.00"],
        }
    ),
]
RateAmount = Annotated[
    int,
    BeforeValidator(partial(amount_up_to, MOST_PER_ACTION_MINOR)),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^((0|[1-9][0-9]{0,5})(\.[0-9]{1,2})?|1000000(\.00?)?)$",
            "examples": ["10.00"],
        }
    ),
]
Currency = Annotated[str, AfterValidator(check_currency), WithJsonSchema({"type": "string", "examples": ["EUR"]})]
Timezone = Annotated[
    str,
    BeforeValidator(text_from_wire),
    AfterValidator(check_timezone),
    WithJsonSchema({"type": "string", "examples": ["UTC"]}),
]
Period = Annotated[
    int,
    BeforeValidator(_period),
    WithJsonSchema({"type": "string", "pattern": _PERIOD, "examples": ["2024-04"]}),
]
Window = Annotated[
    DuplicateWindow,
    BeforeValidator(window_from_wire),
    WithJsonSchema({"anyOf": [{"enum": ["forever", "period"]}, {"type": "integer", "minimum": 1, "maximum": 3650}]}),
]
Instant = Annotated[
    datetime,
    BeforeValidator(instant_from_text),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2024-04-01T00:00:00Z"]}),
]
Start = Annotated[
    datetime | int,
    BeforeValidator(_start),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": _PERIOD}, {"type": "string", "format": "date-time"}],
            "examples": ["2024-05", "2024-05-01T00:00:00Z"],
        }
    ),
]
Day = Annotated[
    date,
    BeforeValidator(day_from_text),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2024-04-01"]}),
]
DayOrInstant = Annotated[
    datetime,
    BeforeValidator(day_or_instant_from_text),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
            "examples": ["2024-04-01", "2024-04-01T00:00:00Z"],
        }
    ),
]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="the digest of the bill as you saw it")]
RowId = Annotated[StrictInt, Field(ge=1, le=2**63 - 1)]
PeriodQuery = Annotated[str | None, Query(pattern=_PERIOD, description="a month", examples=["2024-04"])]
PeriodPath = Annotated[str, Path(pattern=_PERIOD, description="a month", examples=["2024-04"])]
IdPath = Annotated[
    str,
    Path(description="its own id or UUID"),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200}),
]
UuidText = Annotated[UUID, BeforeValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
UuidPath = Annotated[UUID, Path(), BeforeValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
QueryText = Text
QueryId = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(check_id)]


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def sent(self) -> dict[str, Any]:
        """The fields that the caller named."""
        return {name: getattr(self, name) for name in self.model_fields_set}
