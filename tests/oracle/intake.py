"""How acknowledged leads become stored leads, or are quarantined (R1, R3, R12)."""

from collections.abc import Iterator, Mapping
from typing import Final

from tests.oracle.keys import lead_key
from tests.oracle.messages import Message, Reason, WireLead, message_from_wire
from tests.oracle.model import Action, ActionId, Lead, LeadId, Partner
from tests.oracle.people import People
from tests.oracle.periods import following

CONFLICTS: Final = ("conflict", "action_conflict")


class Intake:
    """Everything accepted: stored leads, messages that still wait, and conflicts.

    A quarantined message is no lead yet: the first message that *enters* gives a lead its customer, product and
    lead type.
    """

    def __init__(self, people: People, product_owner: Mapping[str, Partner]) -> None:
        self._people = people
        self._product_owner = product_owner
        self._leads: dict[LeadId, Lead] = {}
        self._waiting: list[Message] = []
        self._conflicts: list[Message] = []
        self._anything_to_do = False

    def accept(self, wire: WireLead) -> None:
        """Take one acknowledged lead; a customer that it describes is known from now on, also if it waits."""
        message = message_from_wire(wire)
        if (customer := wire.get("customer")) is not None:
            self._people.ensure(message.customer, customer["email"], customer.get("name", ""))
        self._waiting.append(message)
        self._anything_to_do = True

    def masters_changed(self) -> None:
        """A product or customer was created: what waits may enter."""
        self._anything_to_do = True

    def action(self, identity: ActionId) -> Action | None:
        """A stored action."""
        lead = self._leads.get(LeadId(identity.source, identity.lead_id))
        return None if lead is None else lead.actions.get(identity)

    def add_action(self, lead: Lead, identity: ActionId) -> Action:
        """Store an action that no message brought: the right one of a correction."""
        lead.actions[identity] = _new_action(identity, lead)
        return lead.actions[identity]

    def enter(self) -> Iterator[Action]:
        """Store whatever can enter, in the order of acceptance; yields the actions that are new."""
        if not self._anything_to_do:
            return
        self._anything_to_do = False
        undecided: list[Message] = []
        for message in self._waiting:
            if self._problem(message) is None:
                yield from self._store(message)
            else:
                undecided.append(message)
        self._waiting = []
        for message in undecided:
            (self._conflicts if self._problem(message) in CONFLICTS else self._waiting).append(message)

    def quarantined(self) -> Iterator[tuple[WireLead, Reason]]:
        """The quarantined messages and why, one for each claim about a lead: a replay adds nothing."""
        seen = set()
        for message in [*self._conflicts, *self._waiting]:
            if message.claim not in seen:
                seen.add(message.claim)
                yield message.wire, self._problem(message) or "conflict"

    def _problem(self, message: Message) -> Reason | None:
        if self._conflicting(message):
            return "conflict"
        if message.product not in self._product_owner:
            return "unknown_product"
        if self._people.find(message.customer) is None:
            return "unknown_customer"
        return "action_conflict" if self._contradicts_action(message) else None

    def _contradicts_action(self, message: Message) -> bool:
        """Whether an action with an own id says something else than the stored one, and than all that correct it."""
        lead = self._leads.get(message.lead)
        stored = {action.id.own_id: action for action in lead.actions.values()} if lead else {}
        for own_id, content in message.own.items():
            action = stored.get(own_id)
            said = set()
            while action is not None:
                said.add((action.id.action_type, action.id.level, action.id.instant))
                following = action.corrected_by
                action = None if following is None or lead is None else lead.actions[following]
            if said and content not in said:
                return True
        return False

    def _conflicting(self, message: Message) -> bool:
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
        own_ids = {action.id.own_id for action in lead.actions.values()} - {""}
        for identity in message.actions():
            if identity not in lead.actions and identity.own_id not in own_ids:
                lead.actions[identity] = _new_action(identity, lead)
                yield lead.actions[identity]

    def _new_lead(self, message: Message) -> Lead:
        person = self._people.find(message.customer)
        assert person is not None
        return Lead(
            id=message.lead,
            uuid=lead_key(*message.lead),
            partner=self._product_owner[message.product],
            product=message.product,
            person=person,
            lead_type=message.lead_type,
        )


def _new_action(identity: ActionId, lead: Lead) -> Action:
    own = lead.partner.calendar.period_of(identity.instant)
    return Action(identity, lead, own, billing_period(lead.partner, own))


def billing_period(partner: Partner, own_period: str) -> str:
    """The own period of an action, or the first open one of the partner if that is later (R11)."""
    closed_through = partner.closed_through
    return own_period if closed_through is None else max(own_period, following(closed_through))
