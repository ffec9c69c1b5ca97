"""Who asks for a move of a bill (B5)."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal, NamedTuple
from uuid import UUID


class Role(StrEnum):
    """What a person does here."""

    ADMIN = "admin"
    FINANCE = "finance"
    CUSTOMER_SUCCESS = "customer_success"
    SALES = "sales"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks for a move: a person with a session, a key, or a run of the system.

    `person` is who is signed in, or who made the key; the key made beside the database and the system have none. A key
    has the role that its scope amounts to: `bill` that of Finance, `admin` that of an Admin. `is_csm` says whether the
    person is the partner's CSM or stands in for them today.
    """

    kind: Literal["user", "key", "system"]
    person: UUID | None = None
    role: Role | None = None
    is_csm: bool = False


SYSTEM = Caller("system")
"""A run: what it makes has the system as its maker, whoever started it."""


class Deputy(NamedTuple):
    """Who stands in for a CSM, up to and including a day."""

    person: UUID
    until: date


def stands_for_csm(person: UUID, csm: UUID | None, deputy: Deputy | None, today: date) -> bool:
    """Whether the person is the partner's CSM, or the deputy whom the CSM named; `today` in the partner's time zone."""
    if csm is None:
        return False
    return person == csm or (deputy is not None and person == deputy.person and today <= deputy.until)
