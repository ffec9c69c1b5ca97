"""The nouns of the oracle: leads, actions, verdicts, credits and totals."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypedDict

from tests.oracle.people import Person
from tests.oracle.periods import Calendar
from tests.oracle.terms import TermsHistory

Outcome = Literal["billed", "partly_billed", "capped", "duplicate", "held", "returned"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("billed", "partly_billed", "capped", "duplicate", "held", "returned")


class LeadId(NamedTuple):
    """The identity of a lead (R1)."""

    source: str
    lead_id: str


class ActionId(NamedTuple):
    """The identity of an action (R3): texts folded, instant in UTC, occurrences counted from 1.

    With an id of the caller's own, that and the lead are its identity; of one id there is one content, occurrence 1.
    """

    source: str
    lead_id: str
    action_type: str
    level: str
    instant: datetime
    occurrence: int
    own_id: str = ""

    @property
    def content(self) -> "ActionId":
        """The same for actions that say the same."""
        return self._replace(occurrence=1, own_id="")


ActionRef = tuple[str, str, str, str, str | datetime, int] | ActionId
"""An action as a caller names it: any spelling of the texts, the instant also as RFC 3339 text."""


@dataclass(slots=True)
class Partner:
    """A partner with its terms. `closed_through` None: nothing was ever closed."""

    external_id: str
    currency: str
    calendar: Calendar
    terms: TermsHistory
    closed_through: str | None = None
    closed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided for one action. Money in minor units; `cap_*` None where there is no cap."""

    lead: LeadId
    action: ActionId
    customer: str
    product: str
    own_period: str
    billing_period: str
    late: bool
    value_minor: int
    billed_minor: int
    duplicate_savings_minor: int
    cap_savings_minor: int
    outcome: Outcome
    duplicate_of: ActionId | None
    cap_before_minor: int | None
    cap_after_minor: int | None


@dataclass(frozen=True, slots=True)
class Credit:
    """What is credited in an open period for a frozen action that was returned (R11)."""

    action: ActionId
    customer: str
    product: str
    period: str
    amount_minor: int


@dataclass(eq=False, slots=True)
class Lead:
    """A lead that has entered: its product and its customer are known."""

    id: LeadId
    uuid: uuid.UUID
    partner: Partner
    product: str
    person: Person
    lead_type: str
    actions: dict[ActionId, "Action"] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Action:
    """An action of a stored lead and what has happened to it."""

    id: ActionId
    lead: Lead
    own_period: str
    billing_period: str
    held: bool = False
    returned: bool = False
    frozen: bool = False
    verdict: Verdict | None = None
    credit: Credit | None = None
    corrects: ActionId | None = None
    corrected_by: ActionId | None = None

    def decided(self) -> Verdict:
        """The verdict of an action that was judged."""
        assert self.verdict is not None, self.id
        return self.verdict


class Totals(TypedDict):
    """Sums in minor units and counts of one partner and billing period, or of a part of it."""

    leads: int
    actions: int
    gross: int
    billed: int
    duplicate_savings: int
    cap_savings: int
    savings: int
    held: int
    returned: int
    credits: int
    net: int
    outcomes: dict[Outcome, int]
