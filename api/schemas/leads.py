"""What POST /leads takes: wire values to domain values (R1, R13), naming every bad field.

This is the hot path, so the checks are written out over plain decoded JSON: one walk both builds the lead and finds
all its faults.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from api.problems import FieldError, Problem
from billing.errors import InvalidValue
from billing.identity import check_id
from billing.leads import EngagementLevel, Lead, LeadAction, Person

LONGEST_TEXT = 200
LONGEST_EMAIL = 320
AHEAD = timedelta(hours=24)
EARLIEST = datetime(1901, 1, 1, tzinfo=UTC)

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?(Z|z|[+-]\d\d:\d\d)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_LEVELS = frozenset(EngagementLevel)
_LEAD_FIELDS = frozenset(
    {"lead_id", "source", "customer_id", "customer", "product_id", "lead_type", "created_at", "actions"}
)
_ACTION_FIELDS = frozenset({"action_type", "timestamp", "engagement_level"})
_PERSON_FIELDS = frozenset({"name", "email"})
_MISSING = object()

_decode = msgspec.json.Decoder().decode


@dataclass(slots=True)
class LeadsIn:
    """The good leads of a request, and the faults of the others."""

    leads: list[Lead] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)


def leads_from_body(body: bytes, *, ndjson: bool, now: datetime, most_leads: int, most_actions: int) -> LeadsIn:
    """Read one lead, a list of leads, or one lead per line; Problem 400 or 413 if there is no list to speak of."""
    result = LeadsIn()
    values = list(_lines(body, result)) if ndjson else _values(body)
    if not values and not result.errors:
        raise Problem(400, "There are no leads in the request.", [FieldError("#", "must not be empty")])
    if len(values) > most_leads:
        raise Problem(413, f"A request may hold {most_leads} leads at most; this one holds {len(values)}.")
    latest = now + AHEAD
    for index, pointer, value in values:
        reader = _Reader(index, pointer, latest, most_actions)
        lead = reader.lead(value)
        if reader.errors:
            result.errors += reader.errors
        elif lead is not None:
            result.leads.append(lead)
    return result


def _values(body: bytes) -> Sequence[tuple[int, str, Any]]:
    try:
        value = _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, "The body is not valid JSON.", [FieldError("#", _json_fault(error))]) from None
    if isinstance(value, list):
        return [(index, f"#/{index}", each) for index, each in enumerate(value)]
    return [(0, "#", value)]


def _lines(body: bytes, result: LeadsIn) -> Iterable[tuple[int, str, Any]]:
    for index, line in enumerate(line for line in body.split(b"\n") if line.strip()):
        try:
            yield index, f"#/{index}", _decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            result.errors.append(FieldError(f"#/{index}", f"is not valid JSON: {_json_fault(error)}", index))


def _json_fault(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return str(error).removeprefix("JSON is malformed: ")


class _Reader:
    """Reads one lead; every fault goes to `errors` with its pointer."""

    __slots__ = ("errors", "index", "latest", "most_actions", "pointer")

    def __init__(self, index: int, pointer: str, latest: datetime, most_actions: int) -> None:
        self.index, self.pointer, self.latest, self.most_actions = index, pointer, latest, most_actions
        self.errors: list[FieldError] = []

    def lead(self, value: Any) -> Lead | None:
        if not isinstance(value, dict):
            self._fault("", "must be an object")
            return None
        if not value.keys() <= _LEAD_FIELDS:
            self._unknown("", value.keys() - _LEAD_FIELDS)
        get = value.get
        created_at = get("created_at")
        person = get("customer")
        source = get("source")
        return Lead(
            self.index,
            "" if source is None else self._id("/source", source),
            self._id("/lead_id", get("lead_id", _MISSING)),
            self._id("/customer_id", get("customer_id", _MISSING)),
            self._id("/product_id", get("product_id", _MISSING)),
            self._text("/lead_type", get("lead_type", _MISSING)),
            None if created_at is None else self._instant("/created_at", created_at),
            None if person is None else self._person(person),
            self._actions(get("actions", _MISSING)),
        )

    def _actions(self, value: Any) -> list[LeadAction]:
        if not isinstance(value, list) or not value:
            self._fault("/actions", _required(value) or "must be a list of at least one action")
            return []
        if len(value) > self.most_actions:
            self._fault("/actions", f"must not hold more than {self.most_actions} actions")
            return []
        return [self._action(f"/actions/{place}", action) for place, action in enumerate(value)]

    def _action(self, at: str, value: Any) -> LeadAction:
        if not isinstance(value, dict):
            self._fault(at, "must be an object")
            return LeadAction("", "", self.latest)
        if value.keys() != _ACTION_FIELDS:
            self._unknown(at, value.keys() - _ACTION_FIELDS)
        get = value.get
        return LeadAction(
            self._text(at + "/action_type", get("action_type", _MISSING)),
            self._level(at + "/engagement_level", get("engagement_level", _MISSING)),
            self._instant(at + "/timestamp", get("timestamp", _MISSING)),
        )

    def _person(self, value: Any) -> Person | None:
        if not isinstance(value, dict):
            self._fault("/customer", "must be an object with name and email")
            return None
        self._unknown("/customer", value.keys() - _PERSON_FIELDS)
        name = self._text("/customer/name", value.get("name", _MISSING))
        email = self._text("/customer/email", value.get("email", _MISSING), LONGEST_EMAIL).casefold()
        if email and not _EMAIL.fullmatch(email):
            self._fault("/customer/email", "must be an e-mail address")
        return Person(name, email)

    def _id(self, at: str, value: Any) -> str:
        try:
            return check_id(value)
        except InvalidValue as error:
            self._fault(at, _required(value) or str(error))
            return ""

    def _text(self, at: str, value: Any, longest: int = LONGEST_TEXT) -> str:
        if not isinstance(value, str):
            self._fault(at, _required(value) or "must be a string")
            return ""
        if not value.isascii() and not _CONTROL.search(value):
            value = unicodedata.normalize("NFC", value)
        value = value.strip()
        if not value or len(value) > longest:
            self._fault(at, f"must have 1 to {longest} characters")
        elif _CONTROL.search(value):
            self._fault(at, "must not contain control characters or lone surrogates")
        return value

    def _level(self, at: str, value: Any) -> str:
        level = value.strip() if isinstance(value, str) else ""
        if level.casefold() in _LEVELS:
            return level
        self._fault(at, _required(value) or "must be High, Medium or Low")
        return ""

    def _instant(self, at: str, value: Any) -> datetime:
        match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            detail = 'must be an RFC 3339 string with a time zone, like "2024-04-01T10:00:00Z"'
        elif match[2] is None:
            detail = 'must have a time zone: end it with "Z" or an offset like "+02:00"'
        elif match[1] and len(match[1]) > 7:
            detail = "must not have more than 6 fraction digits"
        else:
            try:
                instant = datetime.fromisoformat(value.upper()).astimezone(UTC)
            except (ValueError, OverflowError):
                detail = "is not a date and time that exists"
            else:
                if EARLIEST <= instant <= self.latest:
                    return instant
                detail = "lies more than 24 hours ahead" if instant > self.latest else "lies before 1901"
        self._fault(at, _required(value) or detail)
        return self.latest

    def _unknown(self, at: str, names: Iterable[object]) -> None:
        for name in sorted(map(str, names)):
            shown = name[:80].encode("utf-8", "replace").decode()
            self._fault(f"{at}/{shown.replace('~', '~0').replace('/', '~1')}", "is not a known field")

    def _fault(self, at: str, detail: str) -> None:
        self.errors.append(FieldError(self.pointer + at, detail, self.index))


def _required(value: Any) -> str | None:
    return "is required" if value is _MISSING else None
