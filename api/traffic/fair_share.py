"""Who sent how much lately, and who of them sent more than a fair share of it."""

from uuid import UUID

_KEPT = 0.9
_FORGOTTEN = 1.0


class FairShare:
    """Leads by API key. A lead counts less with every `fade`: after seven by half, after a minute's worth not at all.

    A share is fair up to 1/(n + 1) of what n keys sent: there is always room for one more. So a key that is alone sends
    more than its share, and one that sends little beside a noisy one does not, however noisy that is.
    """

    def __init__(self) -> None:
        self._leads: dict[UUID, float] = {}

    def count(self, key_id: UUID, leads: int) -> None:
        """The key sent so many leads."""
        self._leads[key_id] = self._leads.get(key_id, 0.0) + leads

    def fade(self) -> None:
        """Some time has passed."""
        self._leads = {key: leads * _KEPT for key, leads in self._leads.items() if leads * _KEPT >= _FORGOTTEN}

    def is_exceeded_by(self, key_id: UUID) -> bool:
        """Whether the key sent more than its share."""
        return self._leads.get(key_id, 0.0) * (len(self._leads) + 1) > sum(self._leads.values())
