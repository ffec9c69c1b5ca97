"""The values the evaluator works on: priced actions in, verdicts out."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID


class HoldStatus(StrEnum):
    """What people decided about an action; only a counted one can hold a key or use the cap (R10)."""

    COUNTED = "counted"
    HELD = "held"
    RETURNED = "returned"


class Outcome(StrEnum):
    """What the engine decided about an action (R9)."""

    BILLED = "billed"
    PARTLY_BILLED = "partly_billed"
    CAPPED = "capped"
    DUPLICATE = "duplicate"
    HELD = "held"
    RETURNED = "returned"


WINNING = frozenset({Outcome.BILLED, Outcome.PARTLY_BILLED, Outcome.CAPPED})
"""Outcomes of actions that hold their key."""


@dataclass(slots=True, eq=False)
class Action:
    """One priced action of one customer of one partner.

    Texts come as sent and, as `_key`, as they compare; `key` is the duplicate key of R6; the value is its rate.
    """

    id: UUID
    lead_id: UUID
    product_id: UUID
    action_type: str
    action_type_key: str
    engagement_level: str
    level_key: str
    occurred_at: datetime
    occurrence: int
    key: UUID
    own_period: int
    billing_period: int
    value_minor: int
    rate_rule_id: int
    hold_status: HoldStatus = HoldStatus.COUNTED


in_evaluation_order = attrgetter(
    "billing_period", "occurred_at", "lead_id", "action_type_key", "level_key", "occurrence", "id"
)
"""Sort key of R8; the id tells actions apart that differ only in the caller's own ids."""


class Winner(NamedTuple):
    """An action that holds its key.

    It holds it for actions whose billing period is before `released_from`: returning a frozen winner (R11) frees the
    key from the open period on, while verdicts frozen earlier go on naming it.
    """

    action_id: UUID
    key: UUID
    billing_period: int
    own_period: int
    occurred_at: datetime
    released_from: int


@dataclass(slots=True)
class Verdict:
    """What the engine decided for one action; `duplicate_of` is the id of the winner it duplicates."""

    action: Action
    outcome: Outcome
    billed_minor: int = 0
    duplicate_of: UUID | None = None
