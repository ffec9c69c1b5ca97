"""The background task that erases a person."""

from typing import Any
from uuid import UUID

from db.privacy.erasure import Request, erase_person
from worker.runner import Attempt


async def erase(attempt: Attempt) -> dict[str, Any]:
    """Erase the person; the result says how many rows and files held the identity."""
    arguments, runtime = attempt.task.arguments, attempt.runtime
    request = Request(attempt.task.id, UUID(arguments["customer_id"]), arguments["asked_as"])
    return await erase_person(runtime.engine, runtime.settings, request, attempt.progress)
