"""Preferences of a partner: who approves its bills, and how they are sent and printed."""

import re
from dataclasses import dataclass
from enum import StrEnum

from billing.errors import InvalidValue
from billing.texts import text_from_wire

LARGEST_FIRST_NUMBER = 999_999_999
MOST_APPROVALS = 10
MOST_EMAILS = 20
_LANGUAGE = re.compile(r"[a-z]{2}(-[A-Z]{2})?")
_PREFIX = re.compile(r"[A-Z0-9]{2,12}")


class Approver(StrEnum):
    """Who may fill a place among the approvals; `ANY` is Customer Success or Sales."""

    CSM = "csm"
    CUSTOMER_SUCCESS = "customer_success"
    SALES = "sales"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class AskedApproval:
    """One approval that a bill needs (B5); with `above_minor`, only one whose |gross| is more than that."""

    by: Approver
    above_minor: int | None = None


class Paper(StrEnum):
    """The size of a printed bill."""

    A4 = "A4"
    LETTER = "Letter"


@dataclass(frozen=True, slots=True)
class Preferences:
    """`approvals` None asks the CSM where the terms want that, else anyone of `Approver.ANY`; () asks nobody.

    `emails` () are the partner's billing e-mail.
    """

    approvals: tuple[AskedApproval, ...] | None = None
    auto_issue: bool = False
    send: bool = False
    remind: bool = True
    emails: tuple[str, ...] = ()
    language: str = "en"
    paper: Paper = Paper.A4


def language_from_wire(value: object) -> str:
    """A language, with a country where numbers and dates are written otherwise there: "de", "de-AT"."""
    text = text_from_wire(value)
    if not _LANGUAGE.fullmatch(text):
        raise InvalidValue('must be a language like "de" or "de-AT"')
    return text


def number_prefix_from_wire(value: object) -> str:
    """What the numbers of a partner's bills begin with (B7); raises InvalidValue."""
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise InvalidValue('must have 2 to 12 characters of A–Z and 0–9, like "ACME"')
    return value
