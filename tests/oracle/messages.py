"""One acknowledged lead as it came in, in the form in which it is compared."""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tests.oracle.keys import CUSTOMERS, row_key
from tests.oracle.model import ActionId, LeadId
from tests.oracle.values import fold, instant, plain_id

WireLead = Mapping[str, Any]
Content = tuple[str, str, datetime]
"""What an action says: type, level, instant."""
Reason = Literal["unknown_product", "unknown_customer", "conflict", "action_conflict"]


@dataclass(frozen=True, slots=True)
class Message:
    """A lead message: what it claims about the lead, and how often it holds each action.

    `own` has the actions with ids of their own, by these as they compare.
    """

    wire: WireLead
    lead: LeadId
    product: str
    customer: str
    lead_type: str
    counts: Mapping[Content, int]
    own: Mapping[str, Content]

    @property
    def claim(self) -> tuple[LeadId, str, uuid.UUID, str]:
        """What it says about the lead beside its actions; a customer's identifier and its key mean the same."""
        return (self.lead, self.product, row_key(CUSTOMERS, self.customer), self.lead_type)

    def actions(self) -> Iterator[ActionId]:
        """The identities of its actions; equal ones are told apart by their occurrence (R3)."""
        for (action_type, level, at), count in self.counts.items():
            for occurrence in range(1, count + 1):
                yield ActionId(*self.lead, action_type, level, at, occurrence)
        for own_id, (action_type, level, at) in self.own.items():
            yield ActionId(*self.lead, action_type, level, at, 1, own_id)


def lead_identity(source: str, lead_id: str) -> LeadId:
    """A lead's identity. A UUID is one in any letter case, but only without a source."""
    return LeadId(source, plain_id(lead_id) if not source else lead_id)


def message_from_wire(wire: WireLead) -> Message:
    """Read a lead in the wire shape of `POST /leads`."""
    return Message(
        wire=wire,
        lead=lead_identity(wire.get("source") or "", wire["lead_id"]),
        product=plain_id(wire["product_id"]),
        customer=plain_id(wire["customer_id"]),
        lead_type=fold(wire["lead_type"]),
        counts=Counter(_content(action) for action in wire["actions"] if not action.get("id")),
        own={plain_id(action["id"]): _content(action) for action in wire["actions"] if action.get("id")},
    )


def _content(action: Mapping[str, Any]) -> Content:
    return fold(action["action_type"]), fold(action["engagement_level"]), instant(action["timestamp"])
