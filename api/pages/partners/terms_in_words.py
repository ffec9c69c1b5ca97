"""A term as its page shows it: what the forms take as text, in words, with its currency or unit."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from api.pages.words import ROLES, Words, day, period
from billing.periods import period_from_text
from db.bills.files.language import language_of

_WINDOWS = {"forever": "For ever", "period": "A month"}
_APPROVERS = ROLES | {"csm": "Customer success manager", "any": "Anybody who may"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the terms as the API names it, a dot between its parts; `kind` says how it is typed and read."""

    name: str
    label: str
    hint: str = ""
    kind: str = "text"
    options: tuple[tuple[str, str], ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """In whose words and in which currency terms are shown."""

    words: Words
    currency: str

    def read(self, field: Field, text: str) -> str:
        """A value, given as it is typed; empty if there is none."""
        if field.kind == "choice":
            return dict(field.options).get(text, text) if text else ""
        if field.kind == "yes":
            return text.capitalize() or "No"
        return self._value(field, text) if text else ""

    def _value(self, field: Field, text: str) -> str:
        match field.kind:
            case "amount":
                return f"{self.words.written(text)} {self.currency}"
            case "price":
                return f"{self.words.price(Decimal(text))} {self.currency}"
            case "percent":
                return self.words.percent(Decimal(text))
            case "number" if field.unit:
                return self._counted(int(text), field.unit)
            case "window":
                return self._counted(int(text), "days") if text.isdecimal() else _WINDOWS.get(text, text)
            case "language":
                return str(language_of(text).locale.get_display_name("en"))
            case "date":
                return day(date.fromisoformat(text))
            case "month":
                return period(period_from_text(text))
            case "approvals":
                return "\n".join(map(self._approval, text.splitlines()))
            case _:
                return text

    def _counted(self, number: int, unit: str) -> str:
        return f"{self.words.number(number)} {unit.removesuffix('s') if number == 1 else unit}"

    def _approval(self, line: str) -> str:
        by, _, above = line.partition(" above ")
        name = _APPROVERS.get(by, by)
        return f"{name} above {self.words.written(above)} {self.currency}" if above else name
