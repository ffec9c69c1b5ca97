"""How pages write money, numbers, instants and periods."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from markupsafe import Markup

from billing.explain import Other
from billing.money import amount_from_minor, minor_from_amount
from billing.periods import name_of_period, next_period
from billing.zones import zone
from db.bills.files.language import Language, language_of

STATES = {
    "draft": ("Draft", "quiet"),
    "pending": ("Pending", "waiting"),
    "approved": ("Approved", "good"),
    "rejected": ("Rejected", "bad"),
    "issued": ("Issued", "plain"),
    "paid": ("Paid", "good"),
    "written_off": ("Written off", "quiet"),
    "void": ("Void", "quiet"),
    "cancelled": ("Cancelled", "quiet"),
    "overdue": ("Overdue", "bad"),
    "disputed": ("Disputed", "waiting"),
}
"""How states are called, and the tone of their chips."""

OUTCOMES = {
    "billed": ("Billed", "good"),
    "partly_billed": ("Partly billed", "good"),
    "capped": ("Above the cap", "quiet"),
    "duplicate": ("Duplicate", "quiet"),
    "held": ("Held", "waiting"),
    "returned": ("Returned", "quiet"),
}
"""How outcomes of actions are called, and the tone of their chips."""

ROLES = {
    "admin": "Admin",
    "finance": "Finance",
    "customer_success": "Customer Success",
    "sales": "Sales",
    "partner": "Partner",
}

TAXES = {
    "S": "Standard rate",
    "Z": "Zero rate",
    "E": "Exempt",
    "AE": "Reverse charge",
    "O": "Outside the scope of tax",
}
"""How categories of tax are called."""

_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_LONGEST_AGENT = 60
_TYPED_AMOUNT = re.compile(r"([-−]?)([0-9]{1,3}([.,'’\s])[0-9]{3}(?:\3[0-9]{3})*|[0-9]+)(?:([.,])([0-9]{1,2}))?")
"""With signs between thousands, which are the same everywhere, and one before the decimals, which is another one."""


@dataclass(frozen=True, slots=True)
class Words:
    """Words and figures for one reader, in their language; words stay English."""

    language: Language

    def amount(self, minor: int | None) -> str:
        """Money: 1,250.00, minus as −, nothing for None."""
        return "" if minor is None else self.language.amount(minor)

    def written(self, amount: str) -> str:
        """Money as it is on the wire, -1250.00, for a reader."""
        return self.amount(_minor_from_wire(amount))

    def written_difference(self, amount: str) -> str:
        """A signed amount, as it is on the wire, for a reader."""
        return self.difference(_minor_from_wire(amount))

    def difference(self, minor: int) -> str:
        """A signed amount."""
        return f"+{self.language.amount(minor)}" if minor > 0 else self.language.amount(minor)

    def number(self, value: int) -> str:
        """A count."""
        return self.language.number(value)

    def whole(self, minor: int) -> str:
        """Money in whole units, at the marks of an axis."""
        return self.language.number(minor // 100)

    def price(self, value: Decimal) -> str:
        """A price of one unit, with as many decimals as it needs, two at least."""
        decimals = -int(value.normalize().as_tuple().exponent)
        return self.language.number(value, max(decimals, 2))

    def percent(self, rate: Decimal) -> str:
        """A rate of tax."""
        return self.language.percent(rate)

    def amount_to_type(self, minor: int) -> str:
        """Money as forms take it, whatever the language: 1250.00."""
        return amount_from_minor(minor)

    def amount_from_typed(self, text: str) -> str:
        """Money that somebody typed, 1,250.00 or 1.250,00, as it is on the wire; what is none stays as it is.

        1.250 alone is a thousand only to readers whose thousands are divided so: to others it has a decimal too many.
        """
        found = _TYPED_AMOUNT.fullmatch(text.strip())
        if found is None:
            return text.strip()
        sign, units, divider, point, decimals = found.groups()
        is_unsure = divider in {".", ","} and point is None and units.count(divider) == 1
        if divider and (divider == point or (is_unsure and divider != self.language.thousands)):
            return text.strip()
        return f"{'-' if sign else ''}{re.sub(r'[^0-9]', '', units)}{f'.{decimals}' if decimals else ''}"


ENGLISH = Words(language_of("en"))


def words_for(accept_language: str) -> Words:
    """The words for a language, or for the one that a browser names first; English for one that nobody knows."""
    code = accept_language.partition(",")[0].partition(";")[0].strip()
    try:
        Locale.parse(code, sep="-")
    except (UnknownLocaleError, ValueError):
        code = "en"
    return Words(language_of(code))


def period(number: int) -> str:
    """April 2024."""
    return name_of_period(number)


def periods(numbers: Iterable[int]) -> str:
    """Months in their order; those that follow each other as one span: "March 2024 to May 2024, July 2024"."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and next_period(spans[-1][-1]) == number:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(" to ".join(name_of_period(each) for each in dict.fromkeys((span[0], span[-1]))) for span in spans)


def day(value: date) -> str:
    """2 May 2024."""
    return f"{value.day} {value:%B %Y}"


def brief_day(value: date) -> str:
    """2 May 2024 in tables: the month has three letters."""
    return f"{value.day} {value:%b %Y}"


def instant(value: datetime | str, timezone: str = "UTC") -> Markup:
    """An instant in a time zone, with its UTC form for machines and on hover."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M:%S}", _local(at, timezone)
    )


def other_action(timezone: str) -> Other:
    """How a sentence names another action: by its instant in a time zone; a link beside it has the id."""
    return lambda _, at: f"the action of {_local(at, timezone)}" if at else "another action"


def _local(at: datetime, timezone: str) -> str:
    local = at.astimezone(zone(timezone))
    return f"{local.day} {local:%b %Y, %H:%M} {local.tzname()}"


def _minor_from_wire(amount: str) -> int:
    return -minor_from_amount(amount[1:]) if amount.startswith("-") else minor_from_amount(amount)


def browser_from_user_agent(text: str | None) -> str:
    """What a person calls their browser: "Chrome on Linux"; the text itself where it is no browser that is known."""
    browser, system = (
        next((name for sign, name in known if sign in (text or "")), "") for known in (_BROWSERS, _SYSTEMS)
    )
    return f"{browser} on {system}" if browser and system else (text or "")[:_LONGEST_AGENT] or "unknown"
