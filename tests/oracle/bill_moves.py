"""The oracle for the life of a partner's bills (B1, B5, B7): who did what, and what follows; no code of the product.

What a bill says is what Finance entered, all of it taxed by 20 %. One approval is asked of each, of Sales or Customer
Success, whom an Admin may stand in for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.oracle.values import Refused

Says = tuple[tuple[str, int], ...]

_FROM = {
    "refresh": {"draft"},
    "submit": {"draft"},
    "recall": {"pending", "approved"},
    "approve": {"pending"},
    "withdraw": {"pending", "approved"},
    "reject": {"pending", "approved"},
    "revise": {"rejected"},
    "issue": {"approved"},
    "void": {"draft", "pending", "approved", "rejected"},
}
_TO = {
    "refresh": "draft",
    "submit": "pending",
    "recall": "draft",
    "approve": "approved",
    "withdraw": "pending",
    "reject": "rejected",
    "revise": "draft",
    "issue": "issued",
    "void": "void",
}
_CHECKERS = {"sales", "customer_success", "admin"}


def gross(says: Says) -> int:
    """What is asked for, with the tax rounded once, half away from zero."""
    net = sum(minor for _, minor in says)
    tax = (abs(net) * 20 + 50) // 100
    return net + (tax if net >= 0 else -tax)


@dataclass(slots=True)
class Life:
    """One bill. `done` is its history as (move, who, what it said): who came first stands first."""

    period: int
    says: Says
    state: str = "draft"
    makers: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    done: list[tuple[str, str, Says]] = field(default_factory=list)


class Bills:
    """All bills of one partner; whatever the rules refuse raises Refused and changes nothing."""

    def __init__(self, roles: Mapping[str, str]) -> None:
        self.roles = roles
        self.lives: list[Life] = []
        self.entered: dict[str, tuple[int, int]] = {}
        self.balance = 0
        self.issued = 0
        self.notes = 0

    def live(self, period: int) -> Life | None:
        """The one bill of a period that is neither void nor cancelled."""
        found = [life for life in self.lives if life.period == period and life.state not in ("void", "cancelled")]
        assert len(found) < 2
        return found[0] if found else None

    def says(self, period: int) -> Says:
        """What a bill made now would say."""
        return tuple((text, minor) for text, (of, minor) in self.entered.items() if of == period)

    def enter(self, who: str, period: int, text: str, minor: int) -> None:
        """Somebody of Finance adds an amount; a month that never had a bill gets one."""
        self._check_not_issued(period)
        self.entered[text] = period, minor
        self._adjust(who, period)
        if not any(life.period == period for life in self.lives):
            self.make(who, period)

    def take_back(self, who: str, text: str) -> None:
        """Somebody of Finance takes an amount back, once."""
        period = self.entered[text][0] if text in self.entered else None
        if period is not None:
            self._check_not_issued(period)
            del self.entered[text]
            self._adjust(who, period)

    def make(self, who: str, period: int) -> None:
        """Make the bill of a month, if there is none and anything to bill."""
        if self.live(period) is None and self.says(period):
            self.lives.append(Life(period, self.says(period), makers={who}, done=[("create", who, self.says(period))]))

    def cancel(self, life: Life) -> None:
        """A credit note over all of an issued bill was issued."""
        life.state = "cancelled"
        self.balance -= gross(life.says)
        self.notes += 1

    def move(self, life: Life, move: str, who: str, seen: Says) -> None:
        """Any other move, by somebody who saw the bill say `seen`."""
        if move != "refresh" and self._is_again(life, (move, who, seen)):
            return
        if life.state not in _FROM[move] or not self._may(life, move, who) or seen != life.says:
            raise Refused(move)
        if move in ("submit", "issue") and life.says != self.says(life.period):
            raise Refused("stale")
        if move == "issue":
            self._check_order(life.period)
            self.balance += gross(life.says)
            self.issued += 1
        if move == "refresh":
            life.says = self.says(life.period)
        if move in ("refresh", "submit"):
            life.makers.add(who)
        if move == "approve":
            life.given.add(who)
        elif move == "withdraw":
            life.given.remove(who)
        elif move not in ("issue", "void"):
            life.given.clear()
        life.state = _TO[move]
        life.done.append((move, who, life.says))

    def _may(self, life: Life, move: str, who: str) -> bool:
        is_checker = self.roles[who] in _CHECKERS and who not in life.makers
        if move in ("approve", "reject"):
            return is_checker
        return who in life.given if move == "withdraw" else self.roles[who] in ("finance", "admin")

    def _is_again(self, life: Life, asked: tuple[str, str, Says]) -> bool:
        for done in reversed(life.done):
            if done[1] == asked[1] or done[0] not in ("approve", "withdraw"):
                return done == asked
        return False

    def _adjust(self, who: str, period: int) -> None:
        life = self.live(period)
        if life and life.state == "draft":
            life.says = self.says(period)
            life.makers.add(who)
            life.done.append(("adjust", who, life.says))

    def _check_not_issued(self, period: int) -> None:
        life = self.live(period)
        if life and life.state == "issued":
            raise Refused("it was issued")

    def _check_order(self, period: int) -> None:
        for earlier in {of for of, _ in self.entered.values()} | {life.period for life in self.lives}:
            life = self.live(earlier)
            if earlier < period and (life.state != "issued" if life else self.says(earlier)):
                raise Refused("an earlier one comes first")
