"""Moving a bill (B5): which moves are open to a caller, why another is refused, and what the bill is after a move."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from billing.bills.approvals import Review, approved, can_be_approved, why_no_approval, why_no_say, withdrawn
from billing.bills.callers import Caller
from billing.bills.states import MOVES, By, Move, State
from billing.contracts.preferences import Approver
from billing.errors import InvalidValue, RuleViolation
from billing.roles import Role

_MAKING = frozenset({Move.CREATE, Move.REFRESH, Move.ADJUST, Move.SUBMIT})
_FINANCE = frozenset({Role.FINANCE, Role.ADMIN})
_WITHOUT_DIGEST = frozenset({Move.CREATE, Move.CANCEL})


@dataclass(frozen=True, slots=True)
class Moving:
    """What decides the moves of a bill: its state, None if there is no bill, its digest and approvals.

    `moved_by` is the name of who moved it last, for refusals.
    """

    state: State | None
    digest: str = ""
    review: Review = field(default_factory=Review)
    auto_issue: bool = False
    moved_by: str = ""


class MoveRefused(RuleViolation):
    """A move that is not open: the message says why, and which moves are open to the caller (409)."""

    def __init__(self, reason: str, bill: Moving, caller: Caller) -> None:
        self.state, self.moves = bill.state, open_moves(bill, caller)
        names = ", ".join(self.moves)
        super().__init__(f"{reason}; " + (f"open to you: {names}." if names else "no move is open to you."))


def open_moves(bill: Moving, caller: Caller) -> list[Move]:
    """The moves that the caller can make now, in the order of the table."""
    return [move for move, rule in MOVES.items() if bill.state in rule.sources and not _why_not(bill, move, caller)]


def moved(
    bill: Moving,
    move: Move,
    caller: Caller,
    seen_digest: str = "",
    comment: str | None = None,
    asked: tuple[Approver, ...] = (),
    people: Iterable[Caller] = (),
) -> Moving:
    """The bill after the move.

    `seen_digest` is that of the bill as the caller saw it, `comment` the reason of a move that needs one. Submitting
    takes the approvals `asked` by today's terms and all active `people`. MoveRefused if the move is not open, or if
    nobody could approve; InvalidValue without a reason.
    """
    rule = MOVES[move]
    if bill.state not in rule.sources:
        raise MoveRefused(_wrong_state(bill, move), bill, caller)
    if reason := _why_not(bill, move, caller):
        raise MoveRefused(reason, bill, caller)
    if move not in _WITHOUT_DIGEST and seen_digest != bill.digest:
        raise MoveRefused(f"The bill has changed since you saw it: its digest is {bill.digest}", bill, caller)
    if rule.needs_reason and not comment:
        raise InvalidValue("needs a reason")
    review = bill.review
    if move in _MAKING and caller.person is not None:
        review = replace(review, makers=review.makers | {caller.person})
    if move is Move.SUBMIT:
        review = replace(review, asked=asked, given=())
        if not can_be_approved(review, people):
            raise MoveRefused("Nobody who is active could give the approvals that are asked", bill, caller)
    elif move is Move.APPROVE:
        review = approved(review, caller, comment)
    elif move is Move.WITHDRAW:
        review = withdrawn(review, caller)
    elif rule.target in (State.DRAFT, State.REJECTED):
        review = replace(review, asked=(), given=())
    in_review = move in (Move.SUBMIT, Move.APPROVE, Move.WITHDRAW)
    state = (State.PENDING if review.empty else State.APPROVED) if in_review else rule.target
    return replace(bill, state=state, review=review)


def _why_not(bill: Moving, move: Move, caller: Caller) -> str | None:
    """Why a move that the state allows is not the caller's, in one sentence; None if it is."""
    by = MOVES[move].by
    if by is By.CHECKER:
        return why_no_approval(bill.review, caller)
    if by is By.REVIEWER:
        return None if _gave_one(bill, caller) else why_no_say(bill.review, caller)
    if by is By.GIVER:
        return None if _gave_one(bill, caller) else "You have given no approval that you could withdraw"
    is_run = caller.kind == "system"
    may = {
        By.FINANCE: caller.role in _FINANCE,
        By.FINANCE_OR_RUN: caller.role in _FINANCE or is_run,
        By.FINANCE_OR_AUTO_ISSUE: caller.role in _FINANCE or (is_run and bill.auto_issue),
        By.CREDIT_NOTE: is_run,
    }
    return None if may[by] else f"To {move} a bill is for {by}"


def _gave_one(bill: Moving, caller: Caller) -> bool:
    return caller.kind == "user" and bill.review.has_approval_of(caller)


def _wrong_state(bill: Moving, move: Move) -> str:
    if bill.state is None:
        return f"There is no bill to {move}"
    if move is Move.CREATE:
        return f"There is a bill, and it is {bill.state}"
    by = f", by {bill.moved_by}" if bill.moved_by else ""
    return f"The bill is {bill.state}{by}, and that is no state to {move} it from"
