"""The costs in terraform/README.md: what is multiplied and added there, and what is said to come of it."""

import math
import re
from decimal import ROUND_HALF_UP, Decimal

from tests.terraform.cli import FOLDER

README = (FOLDER / "README.md").read_text()
_PRODUCTS = r"[0-9][0-9.]*(?: [×+] [0-9][0-9.]*)+"


def table(size: str) -> dict[str, tuple[str, Decimal]]:
    """The rows of one size: `{"alarms, dashboard": ("31 × 0.10 + 3.00", Decimal("6.10"))}`."""
    section = README.partition("## What it costs")[2].partition("\n## ")[0]
    lines = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.+$", section, re.M)]
    place = lines[0].index(f"`{size}`")
    return {line[0]: (line[place], Decimal(line[place + 1])) for line in lines[2:]}


def in_prose() -> list[tuple[str, Decimal]]:
    """What the text below the table reckons."""
    text = " ".join(README.split())
    return [(products, Decimal(result)) for products, result in re.findall(rf"({_PRODUCTS}) = ([0-9.]+) \$", text)]


def reckoned(products: str) -> Decimal:
    """To the cent, half up."""
    terms = (math.prod(map(Decimal, term.split(" × "))) for term in products.split(" + "))
    return Decimal(sum(terms)).quantize(Decimal("0.01"), ROUND_HALF_UP)
