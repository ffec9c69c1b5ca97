"""The background task that mails the link for a forgotten password."""

from typing import Any
from uuid import UUID

from db.access.forgotten_passwords import mail_link
from worker.runner import Attempt


async def mail_password_link(attempt: Attempt) -> dict[str, Any]:
    """Mail the link; the result says nothing, because whoever reads tasks need not know who has an account."""
    task, runtime = attempt.task, attempt.runtime
    if user_id := task.arguments["user_id"]:
        await mail_link(runtime.engine, runtime.settings, task.id, task.request_id, UUID(user_id))
    return {}
