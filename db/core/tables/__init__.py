"""Every table of Leadger, by area; importing this package completes `metadata`.

The database itself refuses wrong states: see the keys and checks beside each column. Money is BIGINT minor units
(`_minor`), instants are `timestamptz` (`_at`), periods are integers like 202404.
"""

from db.core.tables import (
    access,
    account,
    bills,
    contracts,
    fraud,
    intake,
    ledger,
    mail,
    masters,
    operations,
    outgoing,
    reports,
    runs,
)
from db.core.tables.base import metadata

__all__ = [
    "access",
    "account",
    "bills",
    "contracts",
    "fraud",
    "intake",
    "ledger",
    "mail",
    "masters",
    "metadata",
    "operations",
    "outgoing",
    "reports",
    "runs",
]
