"""What the routes of returns take and give."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from api.schemas.bills import who_out
from api.schemas.fields import LONGEST_LONG_TEXT, Body, Id, LongText, UuidText
from api.wire import amount_out, instant_out
from billing.bills.return_reasons import LISTED, ReturnReason
from billing.csv_rows import CsvRow, InvalidRows, rows_from_csv
from billing.errors import InvalidValue
from billing.texts import text_from_wire
from db.bills.return_records import ReturnRecord
from db.bills.returning import Returned

MOST_RETURNS = 500
"""So many leads or actions at a time, each returned in a transaction of its own."""


def _reason(value: object) -> ReturnReason:
    if not isinstance(value, dict):
        return ReturnReason(text_from_wire(value, LONGEST_LONG_TEXT))
    if not {"reason"} <= value.keys() <= {"reason", "text"}:
        raise InvalidValue('must be a reason, or an object with "reason" and perhaps "text"')
    text = value.get("text")
    return ReturnReason(text_from_wire(value["reason"]), None if text is None else _text(text))


def _text(value: object) -> str:
    return text_from_wire(value, LONGEST_LONG_TEXT)


REASON_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": LONGEST_LONG_TEXT},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["reason"],
            "properties": {
                "reason": {"type": "string", "minLength": 1, "maxLength": 200, "examples": ["wrong_contact"]},
                "text": {
                    "anyOf": [{"type": "string", "minLength": 1, "maxLength": LONGEST_LONG_TEXT}, {"type": "null"}]
                },
            },
        },
    ],
    "description": f"one of {', '.join(LISTED)} or of the partner's terms; what is not listed is a text of `other`",
}
GivenReason = Annotated[ReturnReason, BeforeValidator(_reason), WithJsonSchema(REASON_SCHEMA)]


class ReturnsIn(Body):
    """Actions to return, or leads of which every action is returned, all for one reason."""

    leads: Annotated[list[Id], Field(min_length=1, max_length=MOST_RETURNS)] | None = None
    source: Id | None = Field(None, description="who numbered the leads")
    actions: Annotated[list[UuidText], Field(min_length=1, max_length=MOST_RETURNS)] | None = None
    reason: GivenReason

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.leads is None) == (self.actions is None):
            raise ValueError("must name either leads or actions")
        return self


class ReturnDecisionIn(Body):
    """What Finance decides about returns that were asked for, and why."""

    actions: list[UuidText] = Field(min_length=1, max_length=MOST_RETURNS)
    decision: Literal["accept", "refuse"]
    reason: LongText


RETURNS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["reason"],
                    "properties": {
                        "leads": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MOST_RETURNS,
                            "items": {"type": "string", "minLength": 1, "maxLength": 200},
                        },
                        "source": {"type": "string", "minLength": 1, "maxLength": 200},
                        "actions": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MOST_RETURNS,
                            "items": {"type": "string", "format": "uuid"},
                        },
                        "reason": REASON_SCHEMA,
                    },
                },
                "example": {"leads": ["docs-lead-1"], "reason": "wrong_contact"},
            },
            "text/csv": {
                "schema": {
                    "type": "string",
                    "description": "columns `action_id`, or `lead_id` and perhaps `source`; `reason`, perhaps `text`",
                },
                "example": "lead_id,reason\ndocs-lead-1,wrong_contact\n",
            },
        },
    }
}

_COLUMNS = {name: name for name in ("action_id", "lead_id", "source", "reason", "text")}
_COLUMNS |= {"action": "action_id", "lead": "lead_id"}


def rows_of_returns(text: str) -> list[tuple[CsvRow, ReturnReason]]:
    """The rows of a CSV file, each with its reason; raises InvalidRows, which names every bad row."""
    read: list[tuple[CsvRow, ReturnReason]] = []
    faults: list[tuple[int, str]] = []
    for row in rows_from_csv(text, _COLUMNS, MOST_RETURNS):
        try:
            given = {name: row.cells[name] for name in ("reason", "text") if name in row.cells}
            if ("action_id" in row.cells) == ("lead_id" in row.cells):
                raise InvalidValue("must name either an action_id or a lead_id")
            if "reason" not in given:
                raise InvalidValue("must have a reason")
            read.append((row, _reason(given)))
        except InvalidValue as error:
            faults.append((row.line, str(error)))
    if faults:
        raise InvalidRows(faults)
    return read


def returned_out(returned: Returned) -> dict[str, Any]:
    """What became of the return of one action."""
    return {"action": returned.action_id, "state": returned.state.value, "detail": returned.detail}


def return_out(found: ReturnRecord) -> dict[str, Any]:
    """A return on record."""
    return {
        "action": found.action_id,
        "partner": found.partner,
        "lead_id": found.lead_id,
        "source": found.source or None,
        "currency": found.currency,
        "amount": amount_out(found.amount_minor),
        "state": found.state.value,
        "reason": {"reason": found.reason.reason, "text": found.reason.text},
        "asked_at": instant_out(found.asked_at),
        "asked_by": who_out(found.who),
        "decided_at": instant_out(found.decided_at),
        "decided_by": found.decided_by and who_out(found.decided_by),
        "answer": found.answer,
    }
