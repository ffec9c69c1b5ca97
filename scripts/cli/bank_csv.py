"""The payments of a bank's CSV file, and the numbers of bills in what payers wrote."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from billing.csv_rows import CsvRow, InvalidRows, rows_from_csv
from billing.errors import InvalidValue
from billing.local_amounts import decimal_sign, minor_from_local
from billing.local_days import day_from_local
from scripts.errors import CannotStart

COLUMNS = ("paid_on", "amount", "reference")
MOST_ROWS = 100_000
_HEADINGS = {name: name for name in (*COLUMNS, "external_id")}
_HEADINGS |= {"date": "paid_on", "booking_date": "paid_on", "buchungstag": "paid_on", "betrag": "amount"}
_HEADINGS |= {"purpose": "reference", "verwendungszweck": "reference"}
_NUMBER = re.compile(r"(?<![A-Z0-9-])[A-Z0-9]{2,12}-[0-9]{4,9}(?![0-9])")


@dataclass(frozen=True, slots=True)
class BankPayment:
    """One row: the line of the file, the day, what came in, what the payer wrote, and a name that stays the same."""

    line: int
    external_id: str
    paid_on: date
    amount: Decimal
    reference: str

    @property
    def numbers(self) -> list[str]:
        """The numbers of bills that the payer may have meant, as they are written."""
        return list(dict.fromkeys(_NUMBER.findall(self.reference.upper())))


def read_payments(path: Path) -> Iterator[BankPayment]:
    """The rows of a file; raises CannotStart for one without the columns, or with a day or an amount that is none.

    A column `external_id` names a payment; without it the row itself does, so that a file is safe to import again.
    """
    try:
        rows = rows_from_csv(path.read_text("utf-8-sig"), _HEADINGS, MOST_ROWS)
        sign = decimal_sign(row.cells.get("amount", "") for row in rows)
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"{path} cannot be read: {error}") from None
    except InvalidRows as error:
        line, fault = error.faults[0]
        raise CannotStart(f"{path}, line {line}: it {fault}.") from None
    except InvalidValue as error:
        raise CannotStart(f"{path}: its amounts {error}.") from None
    missing = [name for name in COLUMNS if not any(name in row.cells for row in rows)]
    if missing:
        raise CannotStart(f"{path} has no column {' and '.join(missing)}; it needs {', '.join(COLUMNS)}.")
    seen: Counter[str] = Counter()
    for row in rows:
        content = "\x1f".join(row.cells.get(name, "") for name in COLUMNS)
        seen[content] += 1
        digest = sha256(f"{content}\x1f{seen[content]}".encode()).hexdigest()
        yield _payment(path, row, sign, f"bank-{digest[:32]}")


def _payment(path: Path, row: CsvRow, sign: str, name: str) -> BankPayment:
    cells = row.cells
    try:
        paid_on, minor = day_from_local(cells.get("paid_on", "")), minor_from_local(cells.get("amount", ""), sign)
    except InvalidValue as error:
        raise CannotStart(f"{path}, line {row.line}: it {error}.") from None
    amount = Decimal(minor) / 100
    return BankPayment(row.line, cells.get("external_id", name), paid_on, amount, cells.get("reference", ""))
