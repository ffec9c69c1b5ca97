"""B5: approvals asked, the places that they fill, and that a maker is no checker."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bills.approvals import (
    Approval,
    Review,
    approved,
    can_be_approved,
    places_asked,
    waited_for,
    why_no_approval,
    withdrawn,
)
from billing.bills.callers import SYSTEM, Caller
from billing.contracts.preferences import Approver, AskedApproval
from billing.errors import CommentMissing, RuleViolation
from billing.roles import Role
from tests.billing.bills.people import (
    ADMIN,
    CSM,
    DEPUTY,
    FINANCE,
    NEWCOMER,
    PARTNER,
    PEOPLE,
    SALES,
    SUCCESS,
    key,
    person,
)

ANY, CSM_PLACE, OF_SUCCESS, OF_SALES = Approver.ANY, Approver.CSM, Approver.CUSTOMER_SUCCESS, Approver.SALES
asked_places = st.lists(st.sampled_from(Approver), max_size=4).map(tuple)
callers = st.sampled_from(PEOPLE)


def makers(*people: Caller) -> frozenset:  # type: ignore[type-arg]
    return frozenset(each.person for each in people)


@pytest.mark.parametrize(
    ("terms", "require_csm", "gross", "asked"),
    [
        (None, True, 0, [CSM_PLACE]),
        (None, False, 0, [ANY]),
        ([], True, 10**9, []),
        ([AskedApproval(OF_SALES)], True, 0, [OF_SALES]),
        ([AskedApproval(ANY, 1000), AskedApproval(CSM_PLACE, 999)], False, 1000, [CSM_PLACE]),
        ([AskedApproval(ANY, 1000)], False, 1001, [ANY]),
        ([AskedApproval(ANY, 1000)], False, -1001, [ANY]),
        ([AskedApproval(ANY, 1000)], False, -1000, []),
    ],
)
def test_b05_approvals_asked(
    terms: list[AskedApproval] | None, require_csm: bool, gross: int, asked: list[Approver]
) -> None:
    assert list(places_asked(terms, require_csm, gross)) == asked


@pytest.mark.parametrize(
    ("asked", "given", "places"),
    [
        ([ANY, CSM_PLACE], [CSM, SALES], [CSM_PLACE, ANY]),
        ([ANY, CSM_PLACE], [SALES, CSM], [ANY, CSM_PLACE]),
        ([ANY, OF_SUCCESS, CSM_PLACE], [CSM, SUCCESS, SALES], [CSM_PLACE, OF_SUCCESS, ANY]),
        ([OF_SUCCESS, CSM_PLACE], [SUCCESS, CSM], [OF_SUCCESS, CSM_PLACE]),
        ([ANY, CSM_PLACE], [DEPUTY, SUCCESS], [CSM_PLACE, ANY]),
        ([OF_SALES, CSM_PLACE], [CSM, DEPUTY], [CSM_PLACE, OF_SALES]),
        ([ANY, ANY], [CSM, DEPUTY], [ANY, ANY]),
    ],
)
def test_b05_an_approval_fills_the_narrowest_empty_place(
    asked: list[Approver], given: list[Caller], places: list[Approver]
) -> None:
    review = Review(tuple(asked))
    for each in given:
        assert review.empty
        review = approved(review, each, None)
    assert [approval.place for approval in review.given] == places
    assert review.empty == []


@pytest.mark.parametrize(
    ("asked", "given", "caller", "reason"),
    [
        ([ANY], [], FINANCE, "This bill asks for an approval of Customer Success or Sales."),
        ([CSM_PLACE], [], SUCCESS, "This bill asks for an approval of the partner's CSM."),
        ([OF_SUCCESS], [], SALES, "This bill asks for an approval of Customer Success."),
        ([ANY], [], PARTNER, "This bill asks for an approval of Customer Success or Sales."),
        ([ANY], [], NEWCOMER, "This bill asks for an approval of Customer Success or Sales."),
        ([], [], SALES, "No approval is asked for this bill."),
        ([ANY, ANY], [SALES], SALES, "You have approved this bill, and a person counts once."),
        ([OF_SALES, CSM_PLACE], [SALES], DEPUTY, None),
        ([ANY, CSM_PLACE], [SALES], SUCCESS, "What is still asked is an approval of the partner's CSM."),
        ([ANY], [], SYSTEM, "Only a person who is signed in approves, withdraws or rejects."),
        ([ANY], [], key(Role.ADMIN, ADMIN), "Only a person who is signed in approves, withdraws or rejects."),
    ],
)
def test_b05_who_cannot_approve_is_told_why(
    asked: list[Approver], given: list[Caller], caller: Caller, reason: str | None
) -> None:
    review = Review(tuple(asked))
    for each in given:
        review = approved(review, each, None)
    if reason is None:
        assert why_no_approval(review, caller) is None
        return
    with pytest.raises(RuleViolation) as refusal:
        approved(review, caller, "seen")
    assert str(refusal.value) == reason


@pytest.mark.parametrize("maker", [ADMIN, CSM, SALES])
def test_b05_makers_do_not_approve_not_even_as_admin(maker: Caller) -> None:
    review = Review((ANY, CSM_PLACE), makers=makers(maker, FINANCE))
    with pytest.raises(RuleViolation, match="You made this bill or entered its usage, so somebody else approves it"):
        approved(review, maker, "mine is right")


def test_b05_an_admin_fills_all_places_as_an_override_with_a_comment() -> None:
    review = approved(Review((ANY, CSM_PLACE)), SALES, None)
    with pytest.raises(CommentMissing, match="is missing: an approval of an Admin overrides"):
        approved(review, ADMIN, "")
    overridden = approved(review, ADMIN, "the CSM is ill")
    assert (overridden.empty, overridden.given[-1]) == ([], Approval(ADMIN.person, None))  # type: ignore[arg-type]
    assert [given.is_override for given in overridden.given] == [False, True]
    assert withdrawn(overridden, ADMIN) == review


@pytest.mark.parametrize(
    ("asked", "people", "can"),
    [
        ([], [], True),
        ([ANY], [], False),
        ([ANY], [FINANCE, PARTNER, NEWCOMER], False),
        ([ANY], [SALES], True),
        ([ANY, ANY], [SALES], False),
        ([CSM_PLACE, ANY], [CSM], False),
        ([CSM_PLACE, ANY], [CSM, SALES], True),
        ([CSM_PLACE, OF_SALES], [DEPUTY, CSM], True),
        ([CSM_PLACE, OF_SALES], [DEPUTY, SUCCESS], False),
        ([CSM_PLACE], [SUCCESS], False),
        ([CSM_PLACE, ANY, OF_SALES], [ADMIN], True),
    ],
)
def test_b05_whether_anybody_active_could_approve(asked: list[Approver], people: list[Caller], can: bool) -> None:
    assert can_be_approved(Review(tuple(asked)), people) is can
    assert can_be_approved(Review(tuple(asked), makers=makers(*people)), people) is (not asked)


@pytest.mark.parametrize(
    ("asked", "given", "people", "waited"),
    [
        ([ANY], [], [ADMIN, FINANCE, CSM, SALES], [CSM, SALES]),
        ([CSM_PLACE], [], [ADMIN, CSM, DEPUTY, SUCCESS], [CSM, DEPUTY]),
        ([CSM_PLACE], [], [ADMIN, SUCCESS], [ADMIN]),  # nobody else can
        ([OF_SALES, ANY], [SALES], [SALES, SUCCESS, DEPUTY], [SUCCESS, DEPUTY]),
        ([OF_SALES], [SALES], [ADMIN, DEPUTY], []),
    ],
)
def test_b05_a_bill_waits_for_those_who_fill_an_empty_place(
    asked: list[Approver], given: list[Caller], people: list[Caller], waited: list[Caller]
) -> None:
    review = Review(tuple(asked))
    for each in given:
        review = approved(review, each, None)
    assert waited_for(review, people) == waited
    assert waited_for(replace(review, makers=makers(*people)), people) == []


@given(asked_places, st.lists(callers, unique=True, max_size=5), st.frozensets(callers, max_size=2))
def test_b05_it_can_be_approved_exactly_if_people_in_some_order_do_it(
    asked: tuple[Approver, ...], people: list[Caller], made: frozenset[Caller]
) -> None:
    review = Review(asked, makers=makers(*made))

    def complete(order: tuple[Caller, ...]) -> bool:
        reviewed = review
        for each in order:
            if why_no_approval(reviewed, each) is None:
                reviewed = approved(reviewed, each, "override")
        return not reviewed.empty

    assert can_be_approved(review, people) is any(complete(order) for order in permutations(people))


def test_b05_many_people_are_searched_quickly() -> None:
    crowd = [person(Role.CUSTOMER_SUCCESS) for _ in range(5000)]
    assert not can_be_approved(Review((OF_SUCCESS, OF_SUCCESS, OF_SUCCESS, OF_SALES)), crowd)
    assert can_be_approved(Review((ANY, ANY, OF_SUCCESS)), crowd)
