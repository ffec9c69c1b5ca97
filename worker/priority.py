"""Who goes first where all cores are busy: who accepts, then who decides, then background tasks."""

import os
from collections.abc import Collection

from db.tasks.notifications import BACKGROUND

_DECIDING = 5
_IN_THE_BACKGROUND = 10


def let_the_door_go_first(queues: Collection[str]) -> None:
    """Lower the priority of this process and of its children to come, by the queues it takes; once in a process.

    Postgres works for all of them with the same priority. On cores that are free nothing changes.
    """
    os.nice(_IN_THE_BACKGROUND if set(queues) == {BACKGROUND} else _DECIDING)
