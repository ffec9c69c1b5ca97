"""What POST /leads takes: wire values to domain values (R1, R13), naming every bad field.

This is the hot path, so the checks are written out over plain decoded JSON: one walk both builds the lead and finds
all its errors.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from itertools import islice
from typing import Any

import msgspec

from api.body import BOM, json_from_body
from api.problems import MOST_ERRORS, FieldError, Problem
from api.schemas.crowded import occurrences, refuse_crowded
from api.schemas.instants import instant_from_text
from api.schemas.repeated import go_on, repeated_names
from billing.errors import InvalidValue
from billing.identity import check_id
from billing.leads import EngagementLevel, Lead, LeadAction, Person, contradictions, differing_content
from billing.texts import text_from_wire, text_key, type_from_wire
from db.masters.emails import email_from_wire

AHEAD = timedelta(hours=24)

_LEVELS = frozenset(EngagementLevel)
_LEAD_FIELDS = frozenset(
    {"lead_id", "source", "customer_id", "customer", "product_id", "lead_type", "created_at", "actions"}
)
_ACTION_FIELDS = frozenset({"action_type", "timestamp", "engagement_level"})
_PERSON_FIELDS = frozenset({"name", "email"})
_NULLABLE = ("source", "created_at", "customer")
_MISSING = object()
_MOST_UNKNOWN = 100
_LARGE_BYTES = 1024 * 1024
"""From this size on leads are decoded one by one: all values of a body take ten times its size."""
_decode = msgspec.json.Decoder().decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(slots=True)
class LeadsIn:
    """The valid leads of a request, and the errors of the others."""

    leads: list[Lead] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)


def leads_from_body(
    body: bytes, *, ndjson: bool, now: datetime, most_leads: int, most_actions: int, rest: Callable[[], None] = go_on
) -> LeadsIn:
    """Read one lead, a list of leads, or one lead per line; Problem 400 or 413 for a body that is none of them.

    `rest` is called after each lead.
    """
    result = LeadsIn()
    latest = now + AHEAD
    texts = 0
    for index, pointer, value in _lines(body, result, most_leads) if ndjson else _values(body, result, most_leads):
        reader = _Reader(index, pointer, latest, most_actions, MOST_ERRORS - len(result.errors))
        lead = reader.lead(value)
        if reader.errors:
            result.errors += reader.errors
        elif lead is not None:
            result.leads.append(lead)
            texts += _texts(value) + reader.more_texts
        rest()
    if not result.leads and not result.errors:
        raise Problem(400, "There are no leads in the request.", [FieldError("#", "must not be empty")])
    # A name that is given twice is decoded once, but then the body has more quotes than the decoded leads need.
    if result.leads and (result.errors or occurrences(body, b'"') != 2 * texts):
        _refuse_repeated(body, ndjson, result, rest)
    return result


def _values(body: bytes, result: LeadsIn, most_leads: int) -> Iterable[tuple[int, str, Any]]:
    refuse_crowded(body, most_leads)
    elements = _elements(body) if len(body) >= _LARGE_BYTES else None
    value = json_from_body(body) if elements is None else elements
    if not isinstance(value, list):
        return [(0, "#", value)]
    if len(value) > most_leads:
        raise Problem(413, f"A request may hold {most_leads} leads at most; this one holds {len(value)}.")
    leads = value if elements is None else _decoded(elements, body, result)
    return ((index, f"#/{index}", each) for index, each in enumerate(leads))


def _elements(body: bytes) -> list[msgspec.Raw] | None:
    """The leads of a list, not decoded; None if the body is no list, or is not valid."""
    try:
        return _decode_elements(body.removeprefix(BOM))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _decoded(elements: Iterable[msgspec.Raw], body: bytes, result: LeadsIn) -> Iterator[Any]:
    """Each lead, decoded when its turn comes; Problem 400 as for the whole body if one is not valid."""
    for element in elements:
        try:
            value = _decode(element)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            result.leads.clear()  # decoded at once, the body takes the memory that they took
            value = json_from_body(body)
        yield value


def _lines(body: bytes, result: LeadsIn, most_leads: int) -> Iterable[tuple[int, str, Any]]:
    for index, line in enumerate(_full_lines(body)):
        if index == most_leads:
            raise Problem(413, f"A request may hold {most_leads} leads at most; this one holds more.")
        refuse_crowded(line, most_leads)
        try:
            value = json_from_body(line)
        except Problem as problem:
            detail = f"is not valid JSON: {problem.errors[0].detail}"
            result.errors.append(FieldError(f"#/{index}", detail, index))
        else:
            yield index, f"#/{index}", value


def _full_lines(body: bytes) -> Iterable[bytes]:
    return (line for line in BytesIO(body) if line.strip())


def _texts(lead: dict[str, Any]) -> int:
    """How many strings, names included, the JSON of a valid lead has, own ids of its actions left out."""
    # Every value but `actions` is a string; what own ids of actions add, the reader knows …
    texts = 2 * len(lead) - 1 + 6 * len(lead["actions"])
    for name in _NULLABLE:
        if name in lead and not isinstance(lead[name], str):
            texts += 3 if lead[name] else -1  # … or null, or a person, which is four strings itself
    return texts


def _refuse_repeated(body: bytes, ndjson: bool, result: LeadsIn, rest: Callable[[], None]) -> None:
    """Refuse the leads in which a name is given twice, because it is unclear which of the values is meant."""
    repeated = {}
    for index, line in enumerate(_full_lines(body)) if ndjson else [(0, body)]:
        for pointer in repeated_names(line, rest):
            lead = index if ndjson else int(pointer.split("/")[1]) if body.removeprefix(BOM).lstrip()[:1] == b"[" else 0
            repeated[f"#/{index}{pointer[1:]}" if ndjson else pointer] = lead
    result.errors += [FieldError(pointer, "is given more than once", lead) for pointer, lead in repeated.items()]
    refused = set(repeated.values())
    result.leads = [lead for lead in result.leads if lead.index not in refused]


class _EnoughErrors(Exception):
    """There are more errors than a problem document names, so the rest of the lead is not read."""


class _Reader:
    """Reads one lead; `errors` gets the first `most_errors` of its errors, each with its pointer.

    `more_texts` counts the strings of fields that an action need not have.
    """

    __slots__ = ("errors", "index", "latest", "more_texts", "most_actions", "most_errors", "pointer")

    def __init__(self, index: int, pointer: str, latest: datetime, most_actions: int, most_errors: int) -> None:
        self.index, self.pointer, self.latest, self.most_actions = index, pointer, latest, most_actions
        self.most_errors = most_errors
        self.more_texts = 0
        self.errors: list[FieldError] = []

    def lead(self, value: Any) -> Lead | None:
        """The lead, which is good if there are no `errors`."""
        try:
            return self._lead(value)
        except _EnoughErrors:
            return None

    def _lead(self, value: Any) -> Lead | None:
        if not isinstance(value, dict):
            self._add_error("", "must be an object")
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
            self._type("/lead_type", get("lead_type", _MISSING)),
            None if created_at is None else self._instant("/created_at", created_at),
            None if person is None else self._person(person),
            self._actions(get("actions", _MISSING)),
        )

    def _actions(self, value: Any) -> list[LeadAction]:
        if not isinstance(value, list) or not value:
            self._add_error("/actions", _required(value) or "must be a list of at least one action")
            return []
        if len(value) > self.most_actions:
            self._add_error("/actions", f"must not hold more than {self.most_actions} actions")
            return []
        actions = [self._action(f"/actions/{number}", action) for number, action in enumerate(value)]
        if self.more_texts and not self.errors:
            self._refuse_one_id_for_two(actions)
        return actions

    def _refuse_one_id_for_two(self, actions: Sequence[LeadAction]) -> None:
        """Add an error for each of two actions that have the same own id and differ (R3)."""
        for first, again in contradictions(actions):
            for one, other in ((first, again), (again, first)):
                differing = " and ".join(differing_content(actions[one].content, actions[other].content))
                detail = f"is also the id of {self.pointer}/actions/{other}, which has another {differing}"
                self._add_error(f"/actions/{one}/id", detail)

    def _action(self, path: str, value: Any) -> LeadAction:
        if not isinstance(value, dict):
            self._add_error(path, "must be an object")
            return LeadAction("", "", self.latest)
        own_id = ""
        if value.keys() != _ACTION_FIELDS:
            self._unknown(path, value.keys() - _ACTION_FIELDS - {"id"})
            own_id = self._own_id(path + "/id", value)
        get = value.get
        return LeadAction(
            self._type(path + "/action_type", get("action_type", _MISSING)),
            self._level(path + "/engagement_level", get("engagement_level", _MISSING)),
            self._instant(path + "/timestamp", get("timestamp", _MISSING)),
            own_id,
        )

    def _own_id(self, path: str, action: dict[str, Any]) -> str:
        if "id" not in action:
            return ""
        value = action["id"]
        self.more_texts += 1 if value is None else 2
        return "" if value is None else self._id(path, value)

    def _person(self, value: Any) -> Person | None:
        if not isinstance(value, dict):
            self._add_error("/customer", "must be an object with name and email")
            return None
        self._unknown("/customer", value.keys() - _PERSON_FIELDS)
        name = self._text("/customer/name", value.get("name", _MISSING))
        return Person(name, self._email("/customer/email", value.get("email", _MISSING)))

    def _id(self, path: str, value: Any) -> str:
        try:
            return check_id(value)
        except InvalidValue as error:
            self._add_error(path, _required(value) or str(error))
            return ""

    def _text(self, path: str, value: Any) -> str:
        try:
            return text_from_wire(value)
        except InvalidValue as error:
            self._add_error(path, _required(value) or str(error))
            return ""

    def _type(self, path: str, value: Any) -> str:
        try:
            return type_from_wire(value)
        except InvalidValue as error:
            self._add_error(path, _required(value) or str(error))
            return ""

    def _email(self, path: str, value: Any) -> str:
        try:
            return email_from_wire(value)
        except InvalidValue as error:
            self._add_error(path, _required(value) or str(error))
            return ""

    def _level(self, path: str, value: Any) -> str:
        if isinstance(value, str):
            if value.lower() in _LEVELS:  # nearly always, and at once
                return value
            with suppress(InvalidValue):
                level = text_from_wire(value)
                if text_key(level) in _LEVELS:
                    return level
        self._add_error(path, _required(value) or "must be High, Medium or Low")
        return ""

    def _instant(self, path: str, value: Any) -> datetime:
        try:
            instant = instant_from_text(value)
        except InvalidValue as error:
            self._add_error(path, _required(value) or str(error))
            return self.latest
        if instant > self.latest:
            self._add_error(path, "lies more than 24 hours ahead")
        return instant

    def _unknown(self, path: str, names: Iterable[object]) -> None:
        for name in sorted(map(str, islice(names, _MOST_UNKNOWN))):
            shown = name[:80].encode("utf-8", "replace").decode()
            self._add_error(f"{path}/{shown.replace('~', '~0').replace('/', '~1')}", "is not a known field")

    def _add_error(self, path: str, detail: str) -> None:
        self.errors.append(FieldError(self.pointer + path, detail, self.index))
        if len(self.errors) >= self.most_errors:
            raise _EnoughErrors


def _required(value: Any) -> str | None:
    return "is required" if value is _MISSING else None
