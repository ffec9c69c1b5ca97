"""How acknowledged leads become stored leads, or are set aside (R1, R3, R12)."""

import uuid
from collections.abc import Callable, Iterator, Mapping

from tests.oracle.messages import Message, Reason, WireLead, is_uuid, message_from_wire
from tests.oracle.model import Action, ActionId, Lead, LeadId, Partner
from tests.oracle.people import People
from tests.oracle.periods import following


class Intake:
    """Everything accepted: stored leads, messages that still wait, and conflicts.

    Leads in quarantine stand outside: the first message that *enters* gives a lead its customer, product and
    lead type.
    """

    def __init__(
        self,
        people: People,
        product_owner: Mapping[str, Partner],
        lead_uuid: Callable[[str, str], uuid.UUID],
    ) -> None:
        self._people = people
        self._product_owner = product_owner
        self._lead_uuid = lead_uuid
        self._leads: dict[LeadId, Lead] = {}
        self._waiting: list[Message] = []
        self._conflicts: list[Message] = []
        self._anything_to_do = False

    def accept(self, wire: WireLead) -> None:
        """Take one acknowledged lead; a customer it carries is known from now on in any case."""
        message = message_from_wire(wire)
        if (customer := wire.get("customer")) is not None:
            self._people.meet(message.customer, customer["email"], customer.get("name", ""))
        self._waiting.append(message)
        self._anything_to_do = True

    def masters_changed(self) -> None:
        """A product or customer was created: what waits may enter now."""
        self._anything_to_do = True

    def action(self, identity: ActionId) -> Action | None:
        """A stored action."""
        lead = self._leads.get(LeadId(identity.source, identity.lead_id))
        return None if lead is None else lead.actions.get(identity)

    def enter(self) -> Iterator[Action]:
        """Let in whatever can enter, in the order of acceptance, and give back the actions that are new."""
        if not self._anything_to_do:
            return
        self._anything_to_do = False
        undecided = self._waiting
        self._waiting = []
        for message in undecided:
            if self._missing(message) is None and not self._contradicted(message):
                yield from self._store(message)
            else:
                self._waiting.append(message)
        self._conflicts += [message for message in self._waiting if self._contradicted(message)]
        self._waiting = [message for message in self._waiting if not self._contradicted(message)]

    def set_aside(self) -> Iterator[tuple[WireLead, Reason]]:
        """What stands in quarantine, each lead once per claim it makes: a replay adds nothing."""
        seen = set()
        for message in [*self._conflicts, *self._waiting]:
            if message.claim not in seen:
                seen.add(message.claim)
                yield message.wire, self._missing(message) or "conflict"

    def _missing(self, message: Message) -> Reason | None:
        if self._contradicted(message):
            return None
        if message.product not in self._product_owner:
            return "unknown_product"
        if self._people.find(message.customer) is None:
            return "unknown_customer"
        return None

    def _contradicted(self, message: Message) -> bool:
        """Whether it is certain that the stored lead has another product, lead type or customer."""
        lead = self._leads.get(message.lead)
        if lead is None:
            return False
        if (message.product, message.lead_type) != (lead.product, lead.lead_type):
            return True
        person = self._people.find(message.customer)
        # An unknown customer may yet turn out to be an alias of the same person.
        return person is not None and person is not lead.person

    def _store(self, message: Message) -> Iterator[Action]:
        if message.lead not in self._leads:
            self._leads[message.lead] = self._new_lead(message)
        lead = self._leads[message.lead]
        for identity in message.actions():
            if identity not in lead.actions:
                lead.actions[identity] = _new_action(identity, lead)
                yield lead.actions[identity]

    def _new_lead(self, message: Message) -> Lead:
        source, lead_id = message.lead
        person = self._people.find(message.customer)
        assert person is not None
        return Lead(
            id=message.lead,
            uuid=uuid.UUID(lead_id) if is_uuid(message.lead) else self._lead_uuid(source, lead_id),
            partner=self._product_owner[message.product],
            product=message.product,
            person=person,
            lead_type=message.lead_type,
        )


def _new_action(identity: ActionId, lead: Lead) -> Action:
    """An action with its billing period: its own, or the first open one if that is later (R11)."""
    closed_through = lead.partner.closed_through
    own = lead.partner.calendar.period_of(identity.instant)
    return Action(identity, lead, own, own if closed_through is None else max(own, following(closed_through)))
