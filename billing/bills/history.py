"""The history of a bill (B6): when a move is the same one again, which is answered like the first and not kept."""

from collections.abc import Iterable
from typing import NamedTuple

from billing.bills.states import Move

_APPROVALS = frozenset({Move.APPROVE, Move.WITHDRAW})
_DONE_ANEW = frozenset({Move.CREATE, Move.REFRESH, Move.ADJUST})


class Made(NamedTuple):
    """A move that was made: by whom (the kind and the id of a caller), and with which digest in view."""

    move: Move
    who: tuple[str, str]
    digest: str


def is_repeated(history: Iterable[Made], asked: Made) -> bool:
    """Whether `asked` is the newest move of the history, which is given newest first.

    Approvals of others may have come between. What computes anew, like refresh, is done anew.
    """
    if asked.move in _DONE_ANEW:
        return False
    own = (made for made in history if made.who == asked.who or made.move not in _APPROVALS)
    return next(own, None) == asked
