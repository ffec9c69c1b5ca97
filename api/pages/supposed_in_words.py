"""What a what-if supposes, in one sentence."""

from collections.abc import Callable, Mapping
from uuid import UUID

from api.pages.words import Words, period
from billing.terms import DuplicateWindow
from billing.what_if import Supposed, SupposedRate

_MOST_PRICES = 5


def supposed_in_words(supposed: Supposed, names: Mapping[UUID, str], words: Words, currency: str) -> str:
    """The months, and what is supposed: "March 2024 to April 2024, as if one action of Acme cost 2.00 EUR".

    `names` are those of partners and products; `currency` is that of all partners, empty if they have several.
    """
    months = " to ".join(dict.fromkeys((period(supposed.first), period(supposed.last))))

    def money(minor: int) -> str:
        return f"{words.amount(minor)} {currency}".rstrip()

    parts = [_price(rate, names, money) for rate in supposed.rates[:_MOST_PRICES]]
    if (more := len(supposed.rates) - _MOST_PRICES) > 0:
        parts.append(f"{words.number(more)} more {'price' if more == 1 else 'prices'} counted")
    if supposed.changes_cap:
        parts.append("there were no cap" if supposed.cap_minor is None else f"the cap were {money(supposed.cap_minor)}")
    if supposed.window:
        parts.append(f"duplicates were found {_window(supposed.window, words)}")
    if not parts:
        return f"{months}, with nothing supposed."
    return f"{months}, as if {' and '.join(filter(None, ('; '.join(parts[:-1]), parts[-1])))}."


def _price(rate: SupposedRate, names: Mapping[UUID, str], money: Callable[[int], str]) -> str:
    named = [names.get(each, "") if isinstance(each, UUID) else each for each in rate.conditions if each]
    what = f"one action of {' · '.join(named)}" if named else "one action"
    if rate.amount_minor is None:
        return f"{what} had no price of its own"
    return f"{what} cost {money(rate.amount_minor)}"


def _window(window: DuplicateWindow, words: Words) -> str:
    if window.kind == "days":
        return f"within {words.number(window.days)} {'day' if window.days == 1 else 'days'}"
    return {"forever": "for ever", "period": "within a month"}[window.kind]
