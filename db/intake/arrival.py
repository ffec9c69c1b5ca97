"""An arrival: one lead on its way from the inbox or the quarantine to its verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from billing.actions import Action
from billing.leads import Lead
from billing.texts import text_key
from db.core.row_keys import customer_uuid, lead_uuid, product_uuid
from db.ledger.case import Customer


@dataclass(frozen=True, slots=True)
class PossibleCorrection:
    """A new action of a known lead that differs from a stored one in its level or its type only."""

    action_id: UUID
    stored_action_id: UUID
    differs: str
    stored: str
    sent: str


@dataclass(slots=True)
class Arrival:
    """One lead of a batch and what became of it.

    `customer` is the (partner, person) whose verdicts the lead changes; it is set when both are known to exist.
    """

    lead: Lead
    received_at: datetime
    id: UUID = field(init=False)
    product_id: UUID = field(init=False)
    customer_id: UUID = field(init=False)
    lead_type_key: str = field(init=False)
    customer: Customer = field(init=False)
    carried_id: UUID = field(init=False)
    """The customer id that the lead carried, which may be an alias."""
    is_erased: bool = False
    """Whether the person was erased; the lead names them by the key then, and what was sent must not be kept."""
    problem: str | None = None
    detail: str = ""
    is_new: bool = False
    new_actions: list[Action] = field(default_factory=list)
    replayed: int = 0
    own_ids: dict[UUID, str] = field(default_factory=dict)
    """The callers' own ids of its actions, by the actions' row keys."""
    possible_corrections: Sequence[PossibleCorrection] = ()
    has_quarantined: bool = False
    """Whether a message of the same lead is in quarantine."""

    def __post_init__(self) -> None:
        self.id = lead_uuid(self.lead.source, self.lead.external_id)
        self.product_id = product_uuid(self.lead.product)
        self.customer_id = self.carried_id = customer_uuid(self.lead.customer)
        self.lead_type_key = text_key(self.lead.lead_type)

    def set_problem(self, problem: str, detail: str) -> None:
        """Mark the lead for the quarantine, with the reason and a detail for people to read."""
        self.problem, self.detail = problem, detail

    def erase_person(self) -> None:
        """Name the person by the key; the lead goes on to mean the same one."""
        self.is_erased = True
        self.lead.customer, self.lead.person = str(customer_uuid(self.lead.customer)), None
