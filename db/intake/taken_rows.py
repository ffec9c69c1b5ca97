"""What a worker batch takes of the rows that it has claimed: whole rows, or the first leads of one that is too large.

A row that is larger than a batch comes from an older release, or its leads are tried a few at a time after a batch was
lost. Its next leads are decided by each batch, and what became of them is noted beside it until all of them are. The
row goes on to wait meanwhile, so a closing that waits for it waits for all of its leads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from billing.leads import Lead
from db.intake.inbox import Chunk
from db.intake.payloads import leads_from_payload
from db.intake.request_result import joined


@dataclass(frozen=True, slots=True)
class BatchSize:
    """How much one batch takes at most. `in_parts`: to the lead; else a row that has begun is taken as a whole."""

    leads: int
    actions: int
    in_parts: bool = False


@dataclass(slots=True)
class TakenRow:
    """The leads that a batch takes of a row; `ends_row` if none is left after them. `damage` if it cannot be read."""

    chunk: Chunk
    leads: Sequence[Lead]
    ends_row: bool = True
    damage: str = ""

    def result(self, of_leads: dict[str, Any]) -> dict[str, Any]:
        """What became of all leads of the row so far, given what became of those that were taken."""
        before = self.chunk.result
        if before is None:
            return of_leads
        return joined(before, of_leads)


def take(chunks: Sequence[Chunk], most: BatchSize) -> Iterator[TakenRow]:
    """Take rows in order until the next one would be too much; of the first one at least one lead."""
    leads = actions = 0
    for chunk in chunks:
        try:
            waiting = leads_from_payload(chunk.payload)[chunk.decided :]
        except msgspec.MsgspecError as error:
            yield TakenRow(chunk, [], damage=f"unreadable: {error}")
            continue
        fitting = _fitting(waiting, most.leads - leads if most.in_parts else len(waiting), most.actions - actions)
        if fitting < len(waiting):
            if not leads:
                yield TakenRow(chunk, waiting[: max(fitting, 1)], ends_row=len(waiting) == 1)
            return
        yield TakenRow(chunk, waiting)
        leads += len(waiting)
        actions += sum(len(lead.actions) for lead in waiting)


def _fitting(leads: Sequence[Lead], most_leads: int, most_actions: int) -> int:
    """How many of the leads fit."""
    actions = 0
    for number, lead in enumerate(leads):
        actions += len(lead.actions)
        if number == most_leads or actions > most_actions:
            return number
    return len(leads)
