"""What the client saw acknowledged and which events it saw done, in that order: all that the oracle is given."""

import threading
from collections.abc import Callable, Sequence

from scripts.dev.chaos.world import Lead
from tests.oracle import Oracle

Event = Callable[[Oracle], None]


class History:
    """Filled by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Lead | Event] = []
        self._batches: dict[str, int] = {}

    @property
    def batches(self) -> dict[str, int]:
        """The acknowledged batches by id, each with its number of leads."""
        with self._lock:
            return dict(self._batches)

    @property
    def leads(self) -> list[Lead]:
        """Every acknowledged lead, as often as it was acknowledged."""
        with self._lock:
            return [entry for entry in self._entries if isinstance(entry, dict)]

    def acknowledged(self, batch_id: str, leads: Sequence[Lead]) -> None:
        """A batch was answered 2xx."""
        with self._lock:
            self._batches[batch_id] = len(leads)
            self._entries.extend(leads)

    def happened(self, event: Event) -> None:
        """The product has done what the event does to the oracle."""
        with self._lock:
            self._entries.append(event)

    def replay(self, oracle: Oracle) -> None:
        """Let the oracle live through it."""
        with self._lock:
            entries = list(self._entries)
        for entry in entries:
            if isinstance(entry, dict):
                oracle.accept(entry)
            else:
                entry(oracle)
