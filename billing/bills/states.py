"""The states of a bill and its moves (B5): from where to where, and who may."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Where a bill stands."""

    DRAFT = "draft"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    ISSUED = "issued"
    VOID = "void"
    CANCELLED = "cancelled"


PAID, WRITTEN_OFF = "paid", "written_off"


class Move(StrEnum):
    """What is done with a bill; each is kept as a bill action."""

    CREATE = "create"
    REFRESH = "refresh"
    ADJUST = "adjust"
    SUBMIT = "submit"
    RECALL = "recall"
    APPROVE = "approve"
    WITHDRAW = "withdraw"
    REJECT = "reject"
    REVISE = "revise"
    ISSUE = "issue"
    VOID = "void"
    CANCEL = "cancel"


class By(StrEnum):
    """Who may do a move; an Admin may what Finance may."""

    FINANCE = "Finance"
    FINANCE_OR_RUN = "Finance or a run"
    FINANCE_OR_AUTO_ISSUE = "Finance, or a run where the terms say so"
    CHECKER = "whoever can fill a place that is still empty"
    GIVER = "whoever gave an approval"
    REVIEWER = "whoever could fill a place that is asked"
    CREDIT_NOTE = "the issue of a credit note over all that is left of the bill"


class Rule(NamedTuple):
    """A move: the states it starts from, None being no bill; the state it ends in; who may; whether it says why."""

    sources: frozenset[State | None]
    target: State
    by: By
    needs_reason: bool = False


def _rule(sources: list[State | None], target: State, by: By, needs_reason: bool = False) -> Rule:
    return Rule(frozenset(sources), target, by, needs_reason)


_OPEN: list[State | None] = [State.DRAFT, State.PENDING, State.APPROVED, State.REJECTED]
_IN_REVIEW: list[State | None] = [State.PENDING, State.APPROVED]

MOVES = {
    Move.CREATE: _rule([None], State.DRAFT, By.FINANCE_OR_RUN),
    Move.REFRESH: _rule([State.DRAFT], State.DRAFT, By.FINANCE_OR_RUN),
    Move.ADJUST: _rule([State.DRAFT], State.DRAFT, By.FINANCE_OR_RUN),
    Move.SUBMIT: _rule([State.DRAFT], State.PENDING, By.FINANCE_OR_RUN),
    Move.RECALL: _rule(_IN_REVIEW, State.DRAFT, By.FINANCE),
    Move.APPROVE: _rule([State.PENDING], State.APPROVED, By.CHECKER),
    Move.WITHDRAW: _rule(_IN_REVIEW, State.PENDING, By.GIVER),
    Move.REJECT: _rule(_IN_REVIEW, State.REJECTED, By.REVIEWER, needs_reason=True),
    Move.REVISE: _rule([State.REJECTED], State.DRAFT, By.FINANCE),
    Move.ISSUE: _rule([State.APPROVED], State.ISSUED, By.FINANCE_OR_AUTO_ISSUE),
    Move.VOID: _rule(_OPEN, State.VOID, By.FINANCE, needs_reason=True),
    Move.CANCEL: _rule([State.ISSUED], State.CANCELLED, By.CREDIT_NOTE, needs_reason=True),
}
"""All moves. Submitting goes on to approved if no approval is asked; approving stays pending until all are there."""


def shown_state(state: State, open_minor: int, was_written_off: bool) -> str:
    """What a bill shows: an issued one is paid, or written off, once nothing of it is open."""
    if state is not State.ISSUED or open_minor:
        return state.value
    return WRITTEN_OFF if was_written_off else PAID
