"""Row keys (R1, R3): name-based UUIDs, version 5, with one namespace per kind, as docs/rules.md lists them."""

import uuid
from datetime import UTC, datetime, timedelta
from hashlib import sha1

from tests.oracle.values import UUID_FORM

PARTNERS = uuid.UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d01")
PRODUCTS = uuid.UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d02")
CUSTOMERS = uuid.UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d03")
LEADS = uuid.UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d04")
ACTIONS = uuid.UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d05")
OWN_ACTIONS = uuid.UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d08")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def row_key(namespace: uuid.UUID, external_id: str) -> uuid.UUID:
    """The key of a partner, product or customer: the UUID that the id spells, or the UUID named by the id."""
    if UUID_FORM.fullmatch(external_id):
        return uuid.UUID(external_id)
    return uuid.uuid5(namespace, external_id)


def lead_key(source: str, lead_id: str) -> uuid.UUID:
    """The key of a lead; U+001F, which no id contains, separates the source from the lead id."""
    return uuid.uuid5(LEADS, f"{source}\x1f{lead_id}") if source else row_key(LEADS, lead_id)


def action_key(lead: uuid.UUID, action_type: str, level: str, instant: datetime, occurrence: int) -> uuid.UUID:
    """The key of an action of a lead: texts folded, occurrences counted from 1 (the name counts them from 0)."""
    microseconds = (instant - _EPOCH) // timedelta(microseconds=1)
    name = "\x1f".join((action_type, level, str(microseconds), str(occurrence - 1)))
    digest = sha1(ACTIONS.bytes + lead.bytes + name.encode(), usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)


def own_action_key(lead: uuid.UUID, own_id: str) -> uuid.UUID:
    """The key of an action of a lead that has an id of its own, as it compares."""
    digest = sha1(OWN_ACTIONS.bytes + lead.bytes + own_id.encode(), usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)
