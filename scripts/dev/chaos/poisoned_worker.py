"""The worker's Celery application for one fault: it fails on the lead that a file in its home names.

    celery -A scripts.dev.chaos.poisoned_worker worker

The product has no switch for this; the patch lives here and only in a process that was started this way.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import asyncpg

from billing.actions import Action, Outcome
from db.intake import decision
from db.intake.arrival import Arrival
from db.intake.decision import process
from db.ledger.policies import Policies
from scripts.dev.chaos.poison import marker
from worker.app import app


class PoisonedError(Exception):
    """What a bug in the worker would raise."""


async def _process_but_fail(
    connection: asyncpg.Connection, policies: Policies, arrivals: Sequence[Arrival], people: Mapping[UUID, UUID]
) -> dict[Action, Outcome]:
    outcomes = await process(connection, policies, arrivals, people)
    named = marker(Path(os.environ["LEADGER_HOME"]))
    poisoned = named.read_text() if named.exists() else None
    if any(arrival.lead.external_id == poisoned for arrival in arrivals):
        raise PoisonedError(f"lead {poisoned} cannot be decided")
    return outcomes


vars(decision)["process"] = _process_but_fail

__all__ = ["app"]
