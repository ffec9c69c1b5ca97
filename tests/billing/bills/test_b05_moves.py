"""B5, B6: the moves of a bill, who may make them, and what is refused with the moves that are open."""

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from billing.bills.approvals import Review, approved
from billing.bills.callers import SYSTEM, Caller
from billing.bills.history import Made, is_repeated
from billing.bills.moves import MoveRefused, Moving, moved, open_moves
from billing.bills.states import MOVES, Move, State, shown_state
from billing.contracts.preferences import Approver
from billing.errors import InvalidValue
from billing.roles import Role
from tests.billing.bills.people import (
    ADMIN,
    ADMIN_2,
    CSM,
    FINANCE,
    FINANCE_2,
    NEWCOMER,
    PARTNER,
    PEOPLE,
    SALES,
    SUCCESS,
    key,
)

IN_REVIEW = Review((Approver.ANY, Approver.SALES), makers=frozenset({FINANCE.person}))  # type: ignore[arg-type]


def bill(state: State | None, review: Review = IN_REVIEW, **more: object) -> Moving:
    return Moving(state, "d1", review, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "caller", "moves"),
    [
        (None, FINANCE, "create"),
        (None, SYSTEM, "create"),
        (None, CSM, ""),
        ("draft", FINANCE, "refresh adjust submit void"),
        ("draft", ADMIN, "refresh adjust submit void"),
        ("draft", key(Role.FINANCE, FINANCE), "refresh adjust submit void"),
        ("draft", key(Role.ADMIN), "refresh adjust submit void"),
        ("draft", SYSTEM, "refresh adjust submit"),
        ("draft", SALES, ""),
        ("pending", FINANCE, "recall void"),
        ("pending", FINANCE_2, "recall void"),
        ("pending", ADMIN, "recall approve reject void"),
        ("pending", key(Role.ADMIN), "recall void"),
        ("pending", SALES, "approve reject"),
        ("pending", SUCCESS, "approve reject"),
        ("pending", SYSTEM, ""),
        ("approved", FINANCE, "recall issue void"),
        ("approved", ADMIN, "recall reject issue void"),
        ("approved", SALES, "reject"),
        ("approved", SYSTEM, ""),
        ("rejected", FINANCE, "revise void"),
        ("rejected", SALES, ""),
        ("issued", FINANCE, ""),
        ("issued", ADMIN, ""),
        ("issued", SYSTEM, "cancel"),
        ("void", ADMIN, ""),
        ("cancelled", ADMIN, ""),
        *(
            (state, nobody, "")
            for state in ("draft", "pending", "approved", "issued")
            for nobody in (PARTNER, NEWCOMER)
        ),
    ],
)
def test_b05_moves_open_to_a_caller(state: str | None, caller: Caller, moves: str) -> None:
    assert " ".join(open_moves(bill(State(state) if state else None), caller)) == moves


def test_b05_a_run_issues_only_where_the_terms_say_so() -> None:
    assert open_moves(bill(State.APPROVED, auto_issue=True), SYSTEM) == [Move.ISSUE]


@pytest.mark.parametrize(
    ("state", "move", "caller", "target"),
    [
        (None, "create", FINANCE, "draft"),
        ("draft", "refresh", SYSTEM, "draft"),
        ("draft", "adjust", FINANCE, "draft"),
        ("pending", "recall", FINANCE, "draft"),
        ("approved", "recall", FINANCE, "draft"),
        ("pending", "reject", SALES, "rejected"),
        ("approved", "reject", SUCCESS, "rejected"),
        ("rejected", "revise", ADMIN, "draft"),
        ("approved", "issue", FINANCE, "issued"),
        ("draft", "void", FINANCE, "void"),
        ("pending", "void", FINANCE, "void"),
        ("approved", "void", FINANCE, "void"),
        ("rejected", "void", FINANCE, "void"),
        ("issued", "cancel", SYSTEM, "cancelled"),
    ],
)
def test_b05_a_move_leads_to_its_state(state: str | None, move: str, caller: Caller, target: str) -> None:
    before = bill(State(state) if state else None)
    after = moved(before, Move(move), caller, "d1", "because")
    assert after.state == target
    if target in ("draft", "rejected") and state in ("pending", "approved"):
        assert (after.review.asked, after.review.given) == ((), ())
    with pytest.raises((MoveRefused, InvalidValue)):
        moved(before, Move(move), PARTNER, "d1", "because")


def test_b05_submit_asks_for_approvals_and_goes_on_if_none_is_asked() -> None:
    draft = bill(State.DRAFT, Review())
    pending = moved(draft, Move.SUBMIT, FINANCE, "d1", asked=(Approver.ANY,), people=[SALES])
    assert (pending.state, pending.review) == (State.PENDING, Review((Approver.ANY,), (), frozenset({FINANCE.person})))  # type: ignore[arg-type]
    assert moved(draft, Move.SUBMIT, SYSTEM, "d1").state is State.APPROVED
    with pytest.raises(MoveRefused) as refusal:
        moved(draft, Move.SUBMIT, SALES, "d1", asked=(Approver.ANY,), people=[SALES])
    assert str(refusal.value) == "To submit a bill is for Finance or a run; no move is open to you."


def test_b05_nothing_is_submitted_that_nobody_active_could_approve() -> None:
    draft = bill(State.DRAFT, Review())
    for people in ([], [FINANCE_2, PARTNER]):
        with pytest.raises(MoveRefused, match="Nobody who is active could give the approvals that are asked"):
            moved(draft, Move.SUBMIT, FINANCE, "d1", asked=(Approver.ANY,), people=people)
    with pytest.raises(MoveRefused, match="Nobody who is active"):  # the only Admin submits
        moved(draft, Move.SUBMIT, ADMIN, "d1", asked=(Approver.CSM,), people=[ADMIN])
    assert moved(draft, Move.SUBMIT, ADMIN, "d1", asked=(Approver.CSM,), people=[ADMIN, ADMIN_2]).state is State.PENDING


def test_b05_a_bill_is_approved_when_all_approvals_are_there_and_pending_when_one_is_withdrawn() -> None:
    pending = bill(State.PENDING)
    half = moved(pending, Move.APPROVE, SALES, "d1")
    assert half.state is State.PENDING
    whole = moved(half, Move.APPROVE, CSM, "d1")
    assert whole.state is State.APPROVED
    assert open_moves(whole, CSM) == [Move.WITHDRAW, Move.REJECT]
    back = moved(whole, Move.WITHDRAW, SALES, "d1")
    assert (back.state, [given.person for given in back.review.given]) == (State.PENDING, [CSM.person])
    with pytest.raises(MoveRefused, match="You have given no approval that you could withdraw"):
        moved(back, Move.WITHDRAW, SALES, "d1")


def test_b05_makers_are_all_who_ever_made_the_bill_and_a_key_stands_for_its_maker() -> None:
    made = moved(Moving(None), Move.CREATE, SYSTEM)
    made = moved(replace(made, digest="d1"), Move.REFRESH, key(Role.FINANCE, ADMIN_2), "d1")
    made = moved(made, Move.ADJUST, key(Role.ADMIN), "d1")
    made = moved(made, Move.SUBMIT, FINANCE, "d1", asked=(Approver.ANY,), people=[SALES])
    assert made.review.makers == {ADMIN_2.person, FINANCE.person}
    assert Move.APPROVE not in open_moves(made, ADMIN_2)
    assert Move.APPROVE in open_moves(made, ADMIN)
    # They stay makers through a recall.
    again = moved(made, Move.RECALL, FINANCE_2, "d1")
    assert again.review.makers == {ADMIN_2.person, FINANCE.person}


WRONG_STATE = "The bill is {}, by Ann, and that is no state to {} it from"
MINE = "You made this bill or entered its usage, so somebody else approves it"
CHANGED = "The bill has changed since you saw it: its digest is d1"
OF_NOTE = "To cancel a bill is for the issue of a credit note over all that is left of the bill"


@pytest.mark.parametrize(
    ("state", "move", "caller", "digest", "reason", "is_open"),
    [
        ("pending", "issue", FINANCE, "d1", WRONG_STATE.format("pending", "issue"), "recall, void"),
        ("issued", "approve", SALES, "d1", WRONG_STATE.format("issued", "approve"), ""),
        ("pending", "approve", FINANCE, "d1", MINE, "recall, void"),
        ("pending", "approve", SALES, "d0", CHANGED, "approve, reject"),
        ("draft", "create", FINANCE, "", "There is a bill, and it is draft", "refresh, adjust, submit, void"),
        (None, "submit", FINANCE, "", "There is no bill to submit", "create"),
        ("approved", "issue", SYSTEM, "d1", "To issue a bill is for Finance, or a run where the terms say so", ""),
        ("issued", "cancel", FINANCE, "", OF_NOTE, ""),
    ],
)
def test_b05_a_refusal_says_why_and_what_is_open(
    state: str | None, move: str, caller: Caller, digest: str, reason: str, is_open: str
) -> None:
    with pytest.raises(MoveRefused) as refusal:
        moved(bill(State(state) if state else None, moved_by="Ann"), Move(move), caller, digest, "because")
    assert str(refusal.value) == f"{reason}; {f'open to you: {is_open}' if is_open else 'no move is open to you'}."
    assert (refusal.value.state, ", ".join(refusal.value.moves)) == (state, is_open)


@pytest.mark.parametrize("move", [Move.REJECT, Move.VOID])
def test_b05_some_moves_need_a_reason(move: Move) -> None:
    for reason in (None, ""):
        with pytest.raises(InvalidValue, match="needs a reason"):
            moved(bill(State.PENDING), move, ADMIN, "d1", reason)


@pytest.mark.parametrize("move", sorted(set(Move) - {Move.CREATE, Move.CANCEL}))
def test_b04_every_move_but_create_names_the_digest_seen(move: Move) -> None:
    state = next(iter(MOVES[move].sources))
    caller = ADMIN
    review = approved(IN_REVIEW, ADMIN, "c") if move is Move.WITHDRAW else IN_REVIEW
    with pytest.raises(MoveRefused, match="The bill has changed since you saw it: its digest is d1"):
        moved(bill(state, review), move, caller, "d0", "because")


@pytest.mark.parametrize(
    ("state", "open_minor", "written_off", "shown"),
    [
        (State.ISSUED, 1, False, "issued"),
        (State.ISSUED, 0, False, "paid"),
        (State.ISSUED, 0, True, "written_off"),
        (State.ISSUED, 5, True, "issued"),
        (State.APPROVED, 0, False, "approved"),
        (State.CANCELLED, 0, False, "cancelled"),
    ],
)
def test_b05_an_issued_bill_shows_what_became_of_it(
    state: State, open_minor: int, written_off: bool, shown: str
) -> None:
    assert shown_state(state, open_minor, written_off) == shown


ANN, BOB = ("user", "ann"), ("user", "bob")


@pytest.mark.parametrize(
    ("history", "move", "repeated"),
    [
        ([], "submit", False),
        ([("submit", ANN, "d1")], "submit", True),
        ([("submit", ANN, "d0")], "submit", False),
        ([("submit", BOB, "d1")], "submit", False),
        ([("approve", BOB, "d1"), ("submit", ANN, "d1")], "submit", True),
        ([("recall", BOB, "d1"), ("submit", ANN, "d1")], "submit", False),
        ([("recall", ANN, "d1"), ("submit", ANN, "d1")], "submit", False),
        ([("approve", BOB, "d1"), ("approve", ANN, "d1")], "approve", True),
        ([("withdraw", ANN, "d1"), ("approve", ANN, "d1")], "approve", False),
        ([("issue", BOB, "d1"), ("approve", ANN, "d1")], "approve", False),
        ([("refresh", ANN, "d1")], "refresh", False),
    ],
)
def test_b06_the_same_move_by_the_same_person_again(
    history: list[tuple[str, tuple[str, str], str]], move: str, repeated: bool
) -> None:
    made = [Made(Move(name), who, digest) for name, who, digest in history]
    assert is_repeated(made, Made(Move(move), ANN, "d1")) is repeated


class AnyMoves(RuleBasedStateMachine):
    """Random moves by random people: whatever is not refused leaves a bill that the rules allow."""

    def __init__(self) -> None:
        super().__init__()
        self.bill = Moving(None)
        self.makers: set[object] = set()

    @rule(
        move=st.sampled_from(Move),
        caller=st.sampled_from([*PEOPLE, SYSTEM, key(Role.FINANCE, SALES), key(Role.ADMIN)]),
        asked=st.lists(st.sampled_from(Approver), max_size=3).map(tuple),
    )
    def move(self, move: Move, caller: Caller, asked: tuple[Approver, ...]) -> None:
        before, is_open = self.bill, move in open_moves(self.bill, caller)
        try:
            self.bill = moved(before, move, caller, before.digest, "because", asked, PEOPLE)
        except MoveRefused:
            assert not is_open or move is Move.SUBMIT  # which is refused where nobody could approve
            return
        assert is_open
        if move in (Move.CREATE, Move.REFRESH, Move.ADJUST, Move.SUBMIT):
            self.makers.add(caller.person)
        if self.bill.state in (State.VOID, State.CANCELLED):
            self.bill, self.makers = Moving(None), set()

    @invariant()
    def holds(self) -> None:
        state, review = self.bill.state, self.bill.review
        approvers = [given.person for given in review.given]
        assert len(approvers) == len(set(approvers))
        assert not self.makers & set(approvers)
        assert all(each.role not in (Role.FINANCE, Role.PARTNER, None) for each in PEOPLE if each.person in approvers)
        if state is State.PENDING:
            assert review.empty
        if state in (State.APPROVED, State.ISSUED):
            assert not review.empty
        if state in (State.DRAFT, State.REJECTED):
            assert not review.given


TestAnyMoves = AnyMoves.TestCase
