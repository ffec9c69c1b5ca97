"""Why actions are returned (B8): reasons that are listed, and texts for all others."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from billing.texts import text_key

LISTED = ("invalid", "duplicate", "wrong_contact", "not_interested", "fraud", "other")
"""The reasons that always count; a partner's terms may list more."""
OTHER = "other"

_BETWEEN_WORDS = re.compile("[ -]+")


@dataclass(frozen=True, slots=True)
class ReturnReason:
    """A listed reason, and what somebody wrote beside it."""

    reason: str
    text: str | None = None

    def __str__(self) -> str:
        """As the explanation of an action quotes it."""
        if self.text is None:
            return self.reason
        return self.text if self.reason == OTHER else f"{self.reason}: {self.text}"


def listed_reason(given: ReturnReason, own: Iterable[str]) -> ReturnReason:
    """The reason as it is listed, also if it is spelled "Wrong contact"; one that is not listed is a text of `other`.

    `own` are those of the partner's terms.
    """
    listed = {reason_key(reason): reason for reason in (*own, *LISTED)}
    found = listed.get(reason_key(given.reason))
    if found is not None:
        return ReturnReason(found, given.text)
    return ReturnReason(OTHER, given.reason if given.text is None else f"{given.reason}: {given.text}")


def reason_key(reason: str) -> str:
    """What two spellings of one reason have in common: "Wrong contact" and "wrong_contact"."""
    return _BETWEEN_WORDS.sub("_", text_key(reason))
