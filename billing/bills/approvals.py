"""Approvals (B5): which are asked, who may give one, and which place it fills. Maker and checker differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

from billing.bills.callers import Caller
from billing.contracts.preferences import Approver, AskedApproval
from billing.errors import CommentMissing, RuleViolation
from billing.roles import Role

_NARROWEST_FIRST = list(Approver)
_ROLES = {
    Approver.CSM: frozenset[Role](),
    Approver.CUSTOMER_SUCCESS: frozenset({Role.CUSTOMER_SUCCESS}),
    Approver.SALES: frozenset({Role.SALES}),
    Approver.ANY: frozenset({Role.CUSTOMER_SUCCESS, Role.SALES}),
}


class Approval(NamedTuple):
    """An approval given. An Admin's is an override and fills every place; its own place is None."""

    person: UUID
    place: Approver | None

    @property
    def is_override(self) -> bool:
        """Whether an Admin gave it in place of all others."""
        return self.place is None


@dataclass(frozen=True, slots=True)
class Review:
    """The approvals asked and given, and who may give none: all who ever made the bill or entered its usage."""

    asked: tuple[Approver, ...] = ()
    given: tuple[Approval, ...] = ()
    makers: frozenset[UUID] = frozenset()

    @property
    def empty(self) -> list[Approver]:
        """The places without an approval, the narrowest first."""
        if any(approval.is_override for approval in self.given):
            return []
        places = sorted(self.asked, key=_NARROWEST_FIRST.index)
        for approval in self.given:
            places.remove(approval.place)  # type: ignore[arg-type] # only an override has none
        return places

    def has_approval_of(self, caller: Caller) -> bool:
        """Whether the caller gave an approval; a person counts once."""
        return any(approval.person == caller.person for approval in self.given)


def places_asked(
    approvals: Sequence[AskedApproval] | None, require_csm_approval: bool, gross_minor: int
) -> tuple[Approver, ...]:
    """The approvals that terms ask for an amount; None is the default: one of the CSM, or one of anybody."""
    if approvals is None:
        approvals = [AskedApproval(Approver.CSM if require_csm_approval else Approver.ANY)]
    return tuple(asked.by for asked in approvals if asked.above_minor is None or abs(gross_minor) > asked.above_minor)


def why_no_say(review: Review, caller: Caller) -> str | None:
    """Why the caller could fill none of the places asked, filled or not, in one sentence; None if one could."""
    if caller.kind != "user":
        return "Only a person who is signed in approves, withdraws or rejects"
    if not review.asked:
        return "No approval is asked for this bill"
    if caller.person in review.makers:
        return "You made this bill or entered its usage, so somebody else approves it"
    if caller.role is Role.ADMIN or any(_fits(place, caller) for place in review.asked):
        return None
    return f"This bill asks for an approval of {' and '.join(_name(place) for place in sorted(set(review.asked)))}"


def why_no_approval(review: Review, caller: Caller) -> str | None:
    """Why the caller cannot approve now, in one sentence; None if they can."""
    if reason := why_no_say(review, caller):
        return reason
    if review.has_approval_of(caller):
        return "You have approved this bill, and a person counts once"
    if caller.role is Role.ADMIN or any(_fits(place, caller) for place in review.empty):
        return None
    return f"What is still asked is an approval of {' and '.join(_name(place) for place in review.empty)}"


def waited_for(review: Review, people: Iterable[Caller]) -> list[Caller]:
    """The people who can fill an empty place now; an Admin, who overrides, only where nobody else can."""
    able = [person for person in people if review.empty and why_no_approval(review, person) is None]
    return [person for person in able if any(_fits(place, person) for place in review.empty)] or able


def approved(review: Review, caller: Caller, comment: str | None) -> Review:
    """The review with the caller's approval, in the narrowest empty place that they fit.

    RuleViolation if they cannot approve; CommentMissing for an Admin without a comment, because theirs is an override.
    """
    if reason := why_no_approval(review, caller):
        raise RuleViolation(f"{reason}.")
    place = None
    if caller.role is not Role.ADMIN:
        place = next(place for place in review.empty if _fits(place, caller))
    elif not comment:
        raise CommentMissing("is missing: an approval of an Admin overrides those that are asked")
    assert caller.person is not None
    return replace(review, given=(*review.given, Approval(caller.person, place)))


def withdrawn(review: Review, caller: Caller) -> Review:
    """The review without the caller's approval."""
    return replace(review, given=tuple(given for given in review.given if given.person != caller.person))


def can_be_approved(review: Review, people: Iterable[Caller]) -> bool:
    """Whether the active people can fill every place that is asked, each of them one; an Admin fills all."""
    checkers = [person for person in people if why_no_say(review, person) is None]
    if not review.asked or any(person.role is Role.ADMIN for person in checkers):
        return True
    return _can_fill(sorted(review.asked, key=_NARROWEST_FIRST.index), checkers)


def _can_fill(places: list[Approver], people: list[Caller]) -> bool:
    """Whether different people can be found for all places, given the narrowest first."""
    if not places:
        return True
    place, *others = places
    fitting = [person for person in people if _fits(place, person)]
    # Who of a role takes a place does not matter for the others, but a CSM and the deputy may have different roles.
    tried = fitting if place is Approver.CSM else fitting[:1]
    return any(_can_fill(others, [other for other in people if other is not person]) for person in tried)


def _fits(place: Approver, caller: Caller) -> bool:
    return caller.is_csm if place is Approver.CSM else caller.role in _ROLES[place]


def _name(place: Approver) -> str:
    return {
        Approver.CSM: "the partner's CSM",
        Approver.CUSTOMER_SUCCESS: "Customer Success",
        Approver.SALES: "Sales",
        Approver.ANY: "Customer Success or Sales",
    }[place]
