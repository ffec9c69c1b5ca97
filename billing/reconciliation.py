"""A partner's own list of what it owes: rows of a file, each for an action, a lead, or a person and a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from billing.csv_rows import CsvRow, InvalidRows, rows_from_csv
from billing.errors import InvalidValue
from billing.local_amounts import decimal_sign, minor_from_local
from billing.local_days import day_from_local

MOST_ROWS = 100_000

_COLUMNS = {name: name for name in ("action_id", "lead_id", "source", "email", "day", "amount", "billed", "row")}
_COLUMNS |= {"action": "action_id", "lead": "lead_id", "id": "lead_id", "customer_email": "email", "e_mail": "email"}
_COLUMNS |= {"date": "day", "price": "amount"}
_OTHER_ROWS = {"credit", "product total", "total"}
"""Rows of our own report that are no actions, as its column `row` says."""


class By(StrEnum):
    """By what the rows of a list are compared: the most exact that it names."""

    ACTION = "action"
    LEAD = "lead"
    PERSON = "person"
    """E-mail and day."""


class Part(StrEnum):
    """What became of an entry: in both lists alike or not, or only in one of them."""

    MATCHED = "matched"
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    DIFFERENT = "different"


def amount_of(part: Part, theirs_minor: int, ours_minor: int) -> int:
    """How much is in a part: theirs if only they have it; what is billed beyond theirs if both differ; else ours."""
    if part is Part.MISSING_HERE:
        return theirs_minor
    return ours_minor - theirs_minor if part is Part.DIFFERENT else ours_minor


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row of the list: its line, what it names, and the amount in minor units. A day is the partner's."""

    line: int
    amount_minor: int
    action_id: str | None = None
    lead_id: str | None = None
    source: str = ""
    email: str | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class PartnersList:
    """All rows, which name the same."""

    by: By
    rows: list[ListedRow]


def list_from_csv(text: str) -> PartnersList:
    """Read the list; raises InvalidRows, which names every bad row."""
    rows = [row for row in rows_from_csv(text, _COLUMNS, MOST_ROWS) if row.cells.get("row") not in _OTHER_ROWS]
    named = {name for row in rows for name in row.cells}
    by = By.ACTION if "action_id" in named else By.LEAD if "lead_id" in named else By.PERSON
    amount = "billed" if "billed" in named else "amount"  # our own report has both, the value and what is billed of it
    sign = _sign(rows, amount)
    listed: list[ListedRow] = []
    faults: list[tuple[int, str]] = []
    for row in rows:
        try:
            listed.append(_listed(row, by, amount, sign))
        except InvalidValue as error:
            faults.append((row.line, str(error)))
    if faults:
        raise InvalidRows(faults)
    return PartnersList(by, listed)


def _sign(rows: Sequence[CsvRow], amount: str) -> str:
    try:
        return decimal_sign(row.cells.get(amount, "") for row in rows)
    except InvalidValue as error:
        raise InvalidRows([(1, str(error))]) from None


def _listed(row: CsvRow, by: By, amount: str, sign: str) -> ListedRow:
    cells = row.cells
    if any("\0" in text for text in cells.values()):
        raise InvalidValue("must not have the character NUL")
    if amount not in cells:
        raise InvalidValue(f"must have an amount in the column {amount}")
    amount_minor = minor_from_local(cells[amount], sign)
    if by is By.PERSON:
        if not {"email", "day"} <= cells.keys():
            raise InvalidValue("must have an action_id, a lead_id, or an email and a day")
        return ListedRow(row.line, amount_minor, email=cells["email"], day=day_from_local(cells["day"]))
    if f"{by}_id" not in cells:
        raise InvalidValue(f"must have the {by}_id that other rows have")
    if by is By.ACTION:
        return ListedRow(row.line, amount_minor, action_id=cells["action_id"])
    return ListedRow(row.line, amount_minor, lead_id=cells["lead_id"], source=cells.get("source", ""))
