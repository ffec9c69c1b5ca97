"""Money (R14): integer minor units with a currency beside them, a decimal string on the wire, never a float."""

import re
from fractions import Fraction

from billing.errors import InvalidValue

_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,12})(?:\.([0-9]{1,2}))?")

MOST_PER_ACTION_MINOR = 1_000_000_00
"""The most that a rule of the rate card may ask for one action; 92 billion of them fit into a sum of BIGINT."""
MOST_MINOR = 1_000_000_000_00
"""The most that any other amount may be that a caller sets, like a cap."""

CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
    CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD
    KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO
    NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB
    TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG
    """.split()
)
"""ISO 4217 currencies with exactly two minor digits."""


def minor_from_amount(amount: object) -> int:
    """Read "12", "12.5" or "12.50" as 1200, 1250, 1250 minor units.

    Raises InvalidValue for anything else: floats, signs, exponents, and more than two decimals, which are never
    rounded away.
    """
    match = _AMOUNT.fullmatch(amount) if isinstance(amount, str) else None
    if match is None:
        raise InvalidValue('must be a decimal string with at most two decimals, like "12.50"')
    units, decimals = match.groups()
    return int(units) * 100 + int((decimals or "").ljust(2, "0"))


def amount_up_to(most_minor: int, amount: object) -> int:
    """The same; an amount over the limit raises InvalidValue, too."""
    minor = minor_from_amount(amount)
    if minor > most_minor:
        raise InvalidValue(f"must not be more than {amount_from_minor(most_minor)}")
    return minor


def amount_from_minor(minor: int) -> str:
    """Write minor units as the decimal string of the wire: 1250 is "12.50", -5 is "-0.05"."""
    if minor < 0:
        return "-" + amount_from_minor(-minor)
    return f"{minor // 100}.{minor % 100:02d}"


def minor_from_exact(exact: Fraction) -> int:
    """Round an exact number of minor units half away from zero, so that what is reversed mirrors what was billed."""
    return minor_from_ratio(exact.numerator, exact.denominator)


def minor_from_ratio(numerator: int, denominator: int) -> int:
    """The same of a ratio, whose denominator is above zero."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator > 0 else -magnitude


def check_currency(code: str) -> str:
    """Return the code if it is an ISO 4217 currency with two minor digits, else raise InvalidValue."""
    if code not in CURRENCIES:
        raise InvalidValue('must be an ISO 4217 code with two minor digits, like "EUR"')
    return code
