"""What the tables of all areas share: one `metadata`, and how instants, periods and totals are stored."""

from sqlalchemy import BigInteger, Column, DateTime, MetaData, text

from billing.totals import TOTALS_COLUMNS

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

NOW = text("clock_timestamp()")
INSTANT = DateTime(timezone=True)
CONSERVED = (
    "gross_minor = billed_minor + duplicate_savings_minor + cap_savings_minor + held_minor + returned_minor"
    " AND actions = billed + partly_billed + capped + duplicate + held + returned"
)
"""R9 for a row of totals."""


def period_check(name: str) -> str:
    """The condition that a column holds a period."""
    return f"{name} BETWEEN 190001 AND 999912 AND {name} % 100 BETWEEN 1 AND 12"


def totals_columns() -> list[Column[int]]:
    """The columns of `billing.totals`, 0 by default."""
    return [Column(name, BigInteger, nullable=False, server_default="0") for name in TOTALS_COLUMNS]
