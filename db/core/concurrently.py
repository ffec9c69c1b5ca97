"""Running coroutines concurrently; all succeed, or the first error cancels the others."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_concurrently(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
    """Return what each returns, in order; raise the first error after the others were cancelled."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
