"""The worker's Celery application for one fault: its rebuilds have many small customer ranges, long enough to hit.

celery -A scripts.dev.chaos.slow_rebuild worker
"""

import asyncio
from typing import Any

from db.ledger import rebuild
from worker.app import app

_ACTIONS_PER_RANGE = 10
_PAUSE_S = 0.4

judge_range = rebuild.judge_range


async def _judge_late(*arguments: Any) -> rebuild.RangeResult:
    await asyncio.sleep(_PAUSE_S)
    return await judge_range(*arguments)


vars(rebuild).update(ACTIONS_PER_RANGE=_ACTIONS_PER_RANGE, judge_range=_judge_late)

__all__ = ["app"]
