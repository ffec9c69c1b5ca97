"""Messages that follow no commit: a Celery task tells itself that there is more to do, a process that it has begun."""

from celery.app.task import Context

from db.core.unit_of_work import Message, Publish
from db.tasks.notifications import REQUEST_ID_HEADER, publish


def request_id_of(request: Context) -> str:
    """The id of the request on whose behalf a Celery task runs; empty if beat started it."""
    request_id: str = request.get(REQUEST_ID_HEADER) or ""
    return request_id


def follow_up(request: Context, task: str, *arguments: str, send: Publish = publish) -> None:
    """Send a message on behalf of the same request; what is to follow a commit goes through a unit of work instead."""
    send(Message(task, arguments), request_id_of(request))


def from_start(task: str, send: Publish = publish) -> None:
    """Send a message when a process starts, before the first interval is over; if Redis is away, the interval comes."""
    send(Message(task), "")
