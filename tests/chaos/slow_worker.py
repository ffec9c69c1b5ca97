"""The Celery application of a worker that is slower than the leads come."""

import asyncio
from typing import Any

from billing.actions import Action, Outcome
from db.intake import decision
from db.intake.decision import process
from worker.app import app


async def _process_slowly(*arguments: Any) -> dict[Action, Outcome]:
    await asyncio.sleep(0.4)
    return await process(*arguments)


vars(decision)["process"] = _process_slowly

__all__ = ["app"]
