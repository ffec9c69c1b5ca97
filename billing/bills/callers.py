"""Who asks for a move of a bill (B5)."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from billing.roles import Role


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
