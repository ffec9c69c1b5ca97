"""Numbers and dates as a language writes them; words stay English."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from unicodedata import bidirectional

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton
from babel.numbers import format_percent, get_decimal_symbol, get_group_symbol

from billing.periods import text_from_period
from db.reports import fonts

DEFAULT_LANGUAGE = "en"
_LANGUAGES_CACHED = 64
_DIGITS = "latn"  # as every bank takes them


@dataclass(frozen=True, slots=True)
class Language:
    """How one language writes numbers and dates, as far as the fonts of the PDF have its letters."""

    locale: Locale

    def amount(self, minor: int) -> str:
        """An amount of money with its two decimals."""
        return self.number(Decimal(minor).scaleb(-2), 2)

    def number(self, value: Decimal | int, decimals: int = 0) -> str:
        """Any other number, with so many decimals.

        Babel's own function takes two apostrophes, which divide Swiss millions, for quotes and drops them.
        """
        signs = {ord(","): self.thousands, ord("."): self.point, ord("-"): "−"}
        return f"{value:,.{decimals}f}".translate(signs)

    @property
    def thousands(self) -> str:
        """What divides thousands."""
        return get_group_symbol(self.locale, numbering_system=_DIGITS)

    @property
    def point(self) -> str:
        """What stands before the decimals."""
        return get_decimal_symbol(self.locale, numbering_system=_DIGITS)

    def percent(self, rate: Decimal) -> str:
        """A rate of tax, without decimals that say nothing."""
        return format_percent(rate / 100, locale=self.locale, decimal_quantization=False, numbering_system=_DIGITS)

    def date(self, day: date) -> str:
        """A day."""
        text = format_date(day, "long", locale=self.locale)
        return text if _can_be_set(text) else day.isoformat()

    def month(self, period: int) -> str:
        """A period, like April 2024."""
        text = format_skeleton("yMMMM", date(period // 100, period % 100, 1), locale=self.locale)
        return text if _can_be_set(text) else text_from_period(period)


@lru_cache(_LANGUAGES_CACHED)
def language_of(code: str) -> Language:
    """The language of a code like "de" or "pt-BR"; English for one that nobody knows."""
    try:
        return Language(Locale.parse(code, sep="-"))
    except (UnknownLocaleError, ValueError):
        return Language(Locale.parse(DEFAULT_LANGUAGE))


def _can_be_set(text: str) -> bool:
    """Whether fonts have it; from right to left a date within an English sentence would stand in the wrong order."""
    return all(fonts.has(letter) and bidirectional(letter) not in ("R", "AL") for letter in text)
