"""Fair share: how many leads each API key sent lately, and which keys sent more than a fair share of them."""

from uuid import UUID

_DECAY = 0.9
_NEGLIGIBLE_LEADS = 1.0


class FairShare:
    """Leads by API key. A lead counts less with each `decay`: half after seven of them, nothing after some sixty.

    A share is fair up to 1/(n + 1) of what n keys sent: there is always room for one more. So a key that sends alone
    exceeds its share, and one that sends little beside a key that sends much does not, however much that is.
    """

    def __init__(self) -> None:
        self._leads: dict[UUID, float] = {}

    def add(self, key_id: UUID, leads: int) -> None:
        """Count leads that the key sent."""
        self._leads[key_id] = self._leads.get(key_id, 0.0) + leads

    def decay(self) -> None:
        """Let everything sent so far count less."""
        self._leads = {key: leads * _DECAY for key, leads in self._leads.items() if leads * _DECAY >= _NEGLIGIBLE_LEADS}

    def is_exceeded_by(self, key_id: UUID) -> bool:
        """Whether the key sent more than its share."""
        return self._leads.get(key_id, 0.0) * (len(self._leads) + 1) > sum(self._leads.values())
