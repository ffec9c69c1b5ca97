"""The oracle for the life of a partner's bills (B1, B5, B7, B8): who did what, what follows; no code of the product.

What a bill says is what Finance entered, all of it taxed by 20 %; what a credit note says is so much of each of these
amounts, and what issued notes took back before. One approval is asked of each, of Sales or Customer Success, whom an
Admin may stand in for.
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
_FINANCE = {"finance", "admin"}
_BEFORE = "noted before"


@dataclass(slots=True)
class Life:
    """One bill, or a credit note of the bill `of`, which takes back `wanted`, or all that is left if that is None.

    A note has a `name`; bills are known by their month.
    `done` is its history as (move, who, what it said): who came first stands first.
    """

    period: int
    says: Says
    state: str = "draft"
    makers: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    done: list[tuple[str, str, Says]] = field(default_factory=list)
    of: "Life | None" = None
    wanted: tuple[str, int] | None = None
    name: str = ""

    @property
    def gross(self) -> int:
        """What is asked for or taken back: the tax of a note is that of all noted so far less that of before."""
        before = dict(self.says).get(_BEFORE, 0)
        net = sum(minor for _, minor in self.says) - before
        return net + _tax(before + net) - _tax(before)


class Bills:
    """All bills and credit notes of one partner; whatever the rules refuse raises Refused and changes nothing."""

    def __init__(self, roles: Mapping[str, str]) -> None:
        self.roles = roles
        self.lives: list[Life] = []
        self.entered: dict[str, tuple[int, int]] = {}
        self.entered_by: set[tuple[int, str]] = set()
        self.paid: dict[str, int] = {}
        self.balance = 0
        self.issued = 0
        self.notes = 0

    def live(self, period: int) -> Life | None:
        """The one bill of a period that is neither void nor cancelled."""
        found = [life for life in self._bills(period) if life.state not in ("void", "cancelled")]
        assert len(found) < 2
        return found[0] if found else None

    def says(self, period: int) -> Says:
        """What a bill made now would say."""
        return tuple((text, minor) for text, (of, minor) in self.entered.items() if of == period)

    def enter(self, who: str, period: int, text: str, minor: int) -> None:
        """Somebody of Finance adds an amount; a month without a live bill gets one."""
        self._check_not_issued(period)
        self.entered[text] = period, minor
        self.entered_by.add((period, who))
        self._adjust(who, period)
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

    def note(self, who: str, name: str, bill: Life, wanted: tuple[str, int] | None) -> None:
        """Make a credit note of an issued bill."""
        says = self._noted(bill, wanted)
        made = [("create", who, says)]
        self.lives.append(Life(bill.period, says, makers={who}, done=made, of=bill, wanted=wanted, name=name))

    def pay(self, name: str, minor: int) -> None:
        """A payment comes in."""
        self.paid[name] = minor
        self.balance -= minor

    def reverse(self, name: str) -> None:
        """A payment is taken back, once."""
        self.balance += self.paid.pop(name, 0)

    def move(self, life: Life, move: str, who: str, seen: Says) -> None:
        """Any other move, by somebody who saw the bill say `seen`."""
        why_not = self.why_not(life, move, who, seen)
        if why_not == "again":
            return
        if why_not:
            raise Refused(why_not)
        if move == "issue":
            self._issue(life)
        if move == "refresh":
            life.says = self._says_now(life)
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

    def why_not(self, life: Life, move: str, who: str, seen: Says) -> str | None:
        """The rule that keeps somebody from a move, in one word; `again` if it is done and nothing changes."""
        if move != "refresh" and _is_again(life, (move, who, seen)):
            return "again"
        if life.state not in _FROM[move]:
            return "state"
        if why_not := self._may_not(life, move, who):
            return why_not
        if seen != life.says:
            return "digest"
        if move in ("refresh", "submit", "issue"):
            try:
                if self._says_now(life) != life.says and move != "refresh":
                    return "stale"
            except Refused:
                return "limit"
        return "order" if move == "issue" and not self._is_next(life) else None

    def _may_not(self, life: Life, move: str, who: str) -> str | None:
        if move in ("withdraw", "reject") and who in life.given:
            return None
        if move not in ("approve", "reject"):
            return None if self.roles[who] in _FINANCE and move != "withdraw" else "role"
        if self.roles[who] not in _CHECKERS:
            return "role"
        return "maker" if who in life.makers or (life.period, who) in self.entered_by else None

    def _issue(self, life: Life) -> None:
        if life.of is None:
            self.balance += life.gross
            self.issued += 1
            return
        self.balance -= life.gross
        self.notes += 1
        if life.wanted is None:
            life.of.state = "cancelled"

    def _says_now(self, life: Life) -> Says:
        return self._noted(life.of, life.wanted) if life.of else self.says(life.period)

    def _noted(self, bill: Life, wanted: tuple[str, int] | None) -> Says:
        """What a note says now; no line of the bill is taken back twice."""
        if bill.state != "issued":
            raise Refused("the bill is not issued")
        issued = [life for life in self.lives if life.of is bill and life.state == "issued"]
        noted = [line for note in issued for line in note.says if line[0] != _BEFORE]
        left = {text: minor - sum(taken for of, taken in noted if of == text) for text, minor in bill.says}
        if wanted and not 0 < wanted[1] <= left[wanted[0]]:
            raise Refused("more than is left of the line")
        before = sum(minor for _, minor in noted)
        rest = [wanted] if wanted else [(text, minor) for text, minor in left.items() if minor]
        return (*rest, (_BEFORE, before)) if noted else tuple(rest)

    def _bills(self, period: int) -> list[Life]:
        return [life for life in self.lives if life.period == period and life.of is None]

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

    def _is_next(self, life: Life) -> bool:
        """Whether nothing of an earlier month is to be issued first."""
        for earlier in {of for of, _ in self.entered.values()} | {each.period for each in self.lives}:
            live = self.live(earlier)
            if life.of is None and earlier < life.period and (live.state != "issued" if live else self.says(earlier)):
                return False
        return True


def _is_again(life: Life, asked: tuple[str, str, Says]) -> bool:
    for done in reversed(life.done):
        if done[1] == asked[1] or done[0] not in ("approve", "withdraw"):
            return done == asked
    return False


def _tax(net: int) -> int:
    """20 %, rounded half away from zero."""
    tax = (abs(net) * 20 + 50) // 100
    return tax if net >= 0 else -tax
