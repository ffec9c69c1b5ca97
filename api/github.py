"""What a delivery of GitHub's webhook asks for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from api.body import json_from_body
from api.problems import Problem
from billing.errors import InvalidValue
from billing.periods import period_from_text

_SHA = re.compile("[0-9a-f]{40}")
_ACTION = "billing"
"""The event type of a repository_dispatch that means us."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A run that a delivery asks for; `period` None is last month, `shop_ids` None everybody."""

    source: str
    dry_run: bool = True
    period: int | None = None
    shop_ids: tuple[str, ...] | None = None
    commit: str | None = None


def payload_of(body: bytes, is_form: bool) -> Mapping[str, Any]:
    """What a signed delivery says, as JSON or in the field `payload` of a form. Problem 400 for anything else."""
    if is_form:
        body = parse_qs(body.decode(errors="replace")).get("payload", [""])[0].encode()
    payload = json_from_body(body)
    if not isinstance(payload, dict):
        raise Problem(400, "The payload is no JSON object.")
    return payload


def dispatch_from_delivery(event: str, payload: Mapping[str, Any], repository: str, branch: str) -> Dispatch | str:
    """The run that a delivery asks for, or why it asks for none.

    A push and a workflow that ended ask for a dry run; only a person's or an App's dispatch may ask for a real one.
    """
    said = _at(payload, "repository", "full_name")
    if event not in _BRANCH:
        return f"{event or 'a delivery without an event'} starts nothing"
    if not repository or said != repository:
        return f"{said} is not the repository that starts runs"
    named = _at(payload, *_BRANCH[event])
    if named not in (branch, f"refs/heads/{branch}"):
        return f"{named} is not the branch that starts runs"
    action = payload.get("action")
    if event == "workflow_run" and action != "completed":
        return f"a workflow_run that is {action} starts nothing"
    if event == "repository_dispatch" and action != _ACTION:
        return f"a repository_dispatch of the type {action} starts nothing"
    inputs = payload.get(_INPUTS.get(event, "")) or {}
    dispatch = _dispatch(f"{event} of {repository}", inputs if isinstance(inputs, dict) else {})
    commit = _at(payload, *_COMMIT.get(event, ("",)))
    return replace(dispatch, commit=commit) if isinstance(commit, str) and _SHA.fullmatch(commit) else dispatch


_BRANCH = {
    "push": ("ref",),
    "workflow_run": ("workflow_run", "head_branch"),
    "workflow_dispatch": ("ref",),
    "repository_dispatch": ("branch",),
}
"""Where the payload of each event that starts a run names the branch."""

_COMMIT = {"push": ("after",), "workflow_run": ("workflow_run", "head_sha")}
"""Where it names the commit, whose status tells how the run ended."""

_INPUTS = {"workflow_dispatch": "inputs", "repository_dispatch": "client_payload"}


def _dispatch(source: str, inputs: Mapping[str, Any]) -> Dispatch:
    shops, period = inputs.get("shop_ids"), inputs.get("period")
    names = shops if isinstance(shops, list) else str(shops or "").split(",")
    shop_ids = tuple(name for each in names if (name := str(each).strip()))
    try:
        month = period_from_text(str(period)) if period else None
    except InvalidValue as error:
        raise Problem(400, f"The period {error}.") from None
    return Dispatch(source, not _is_false(inputs.get("dry_run")), month, shop_ids or None)


def _at(payload: Any, *names: str) -> Any:
    for name in names:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload


def _is_false(value: object) -> bool:
    """Whether an input says false; 0 is no word for it."""
    return value is False or value == "false"
