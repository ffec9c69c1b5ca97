"""The cost of one unit above the limit (B2): money with up to six decimals, exact until a line is rounded."""

import re
from decimal import Decimal

from billing.errors import InvalidValue

MOST_PER_UNIT = Decimal(10_000)
"""Times the most units that a source may report it still fits into BIGINT minor units."""

_COST = re.compile(r"(0|[1-9][0-9]{0,4})(?:\.[0-9]{1,6})?")
_SIX_DECIMALS = Decimal("0.000001")


def unit_cost_from_wire(cost: object) -> Decimal:
    """Read "0.0125" as it is, with six decimals; raises InvalidValue for what is no such text or above the most."""
    if not isinstance(cost, str) or not _COST.fullmatch(cost):
        raise InvalidValue('must be a decimal string with at most six decimals, like "0.012500"')
    if Decimal(cost) > MOST_PER_UNIT:
        raise InvalidValue(f"must not be more than {MOST_PER_UNIT}")
    return Decimal(cost).quantize(_SIX_DECIMALS)


def wire_from_unit_cost(cost: Decimal) -> str:
    """Write a cost with all six decimals: "0.012500"."""
    return f"{cost:.6f}"
