"""The payments of a bank's CSV file, and the numbers of bills in what payers wrote."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path

from scripts.errors import CannotStart

COLUMNS = ("paid_on", "amount", "reference")
_NUMBER = re.compile(r"(?<![A-Z0-9-])[A-Z0-9]{2,12}-[0-9]{4,9}(?![0-9])")


@dataclass(frozen=True, slots=True)
class BankPayment:
    """One row: the line of the file, the day, what came in, what the payer wrote, and a name that stays the same."""

    line: int
    external_id: str
    paid_on: str
    amount: Decimal
    reference: str

    @property
    def numbers(self) -> list[str]:
        """The numbers of bills that the payer may have meant, as they are written."""
        return list(dict.fromkeys(_NUMBER.findall(self.reference.upper())))


def read_payments(path: Path) -> Iterator[BankPayment]:
    """The rows of a file; raises CannotStart for one without the columns, or with an amount that is none.

    A column `external_id` names a payment; without it the row itself does, so that a file is safe to import again.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"{path} cannot be read: {error}") from None
    rows = csv.DictReader(text.splitlines(), delimiter=";" if ";" in text.partition("\n")[0] else ",")
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or [])]
    if missing:
        raise CannotStart(f"{path} has no column {' and '.join(missing)}; it needs {', '.join(COLUMNS)}.")
    seen: Counter[str] = Counter()
    for row in rows:
        paid_on, amount, reference = ((row[name] or "").strip() for name in COLUMNS)
        content = "\x1f".join((paid_on, amount, reference))
        seen[content] += 1
        name = (row.get("external_id") or "").strip()
        digest = sha256(f"{content}\x1f{seen[content]}".encode()).hexdigest()
        try:
            value = Decimal(amount)
        except InvalidOperation:
            raise CannotStart(f"{path}, line {rows.line_num}: {amount!r} is no amount like 12.50.") from None
        yield BankPayment(rows.line_num, name or f"bank-{digest[:32]}", paid_on, value, reference)
