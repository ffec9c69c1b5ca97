"""Proof of an issued bill from its file alone (B11): digest, seal and totals."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from billing.bills.differences import Difference, first_difference
from billing.bills.digest import document_from_bill
from billing.bills.issue_wire import issue_from_json
from billing.bills.wire import content_from_json
from billing.errors import InvalidValue


def difference_in_file(text: bytes) -> str | None:
    """The first difference between what a bill's JSON file says and what follows from it; None if it is proven.

    Raises InvalidValue for a file that is no bill of ours.
    """
    try:
        difference = difference_in(json.loads(text, object_pairs_hook=_names_once))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidValue("it is no bill of Leadger as JSON") from error
    return difference and difference.sentence("in the file", "by its own figures")


def difference_in(document: Mapping[str, Any]) -> Difference | None:
    """The same for what the file holds. KeyError, TypeError or ValueError for what is no bill of ours."""
    content, issue = content_from_json(document["bill"]), issue_from_json(document["issue"])
    return first_difference(document, document_from_bill(content, issue))


def _names_once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; InvalidValue if it has a name twice, because readers differ in which of them they take."""
    value: dict[str, Any] = {}
    for name, each in pairs:
        if name in value:
            raise InvalidValue(f"the name {name} is there twice")
        value[name] = each
    return value
