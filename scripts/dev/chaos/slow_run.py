"""The worker's Celery application for one fault: a run bills one partner at a time, each slowly enough to hit.

celery -A scripts.dev.chaos.slow_run worker
"""

import asyncio
from typing import Any

from db.runs import billing, records
from worker.app import app
from worker.tasks import runs

_PAUSE_S = 0.5


def _late(call: Any) -> Any:
    async def late(*arguments: Any, **more: Any) -> Any:
        await asyncio.sleep(_PAUSE_S)
        result = await call(*arguments, **more)
        await asyncio.sleep(_PAUSE_S)
        return result

    return late


vars(runs).update(PARTNERS_AT_ONCE=1)
vars(billing).update(bill=_late(billing.bill))
vars(records).update(finish_items=_late(records.finish_items), plan=_late(records.plan), finish=_late(records.finish))

__all__ = ["app"]
