"""Doing several things at once, as one that succeeds or fails."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_concurrently(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """What each of them returns; if one fails, its error, after the others were cancelled."""
    at_work = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*at_work)
    finally:
        for each in at_work:
            each.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
