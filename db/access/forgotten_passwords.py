"""Passwords that were forgotten: a background task sends a link by mail."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from db.access import password_links, users
from db.core.settings import Settings
from db.core.unit_of_work import UnitOfWork, publish_nothing, unit_of_work
from db.mail import sending
from db.mail.sending import Mail
from db.tasks import records

KIND = "mail_password_link"


async def start(uow: UnitOfWork, user_id: UUID | None) -> None:
    """Have a link sent; for nobody there is a task as well, so that no clock tells who has an account."""
    await records.start(uow, KIND, {"user_id": user_id})


async def mail_link(engine: AsyncEngine, settings: Settings, task_id: UUID, request_id: str, user_id: UUID) -> bool:
    """Make a link and send it, in a transaction of its own; False if the person may not sign in.

    The link is made here, so that no secret waits in the task. One that could not be sent is of no use to anybody.
    """
    async with unit_of_work(engine, publish_nothing, request_id=request_id) as uow:
        user = await users.read(uow.connection, user_id)
        if user is None or not user.is_active:
            return False
        url = await password_links.make(uow, user.id, password_links.MAILED_FOR, settings.api_base_url)
    text = (
        f"Somebody, probably you, asked for another password for Leadger. Set it here within an hour:\n\n{url}\n\n"
        "If it was not you, there is nothing to do: your password is still valid.\n"
    )
    await sending.send(settings, Mail(task_id, [user.email], "Your password for Leadger", text))
    return True
