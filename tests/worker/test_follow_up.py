"""A message that follows another one is on behalf of the same request."""

import pytest
from celery.app.task import Context

from db.core.unit_of_work import Message
from db.tasks.notifications import PROCESS_LEADS, REQUEST_ID_HEADER, RUN_SUBTASKS
from worker.follow_up import follow_up


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [({REQUEST_ID_HEADER: "trace-17"}, "trace-17"), ({}, ""), ({REQUEST_ID_HEADER: None}, "")],
)
def test_a_message_that_follows_keeps_the_request_id(headers: dict[str, str | None], request_id: str) -> None:
    sent: list[tuple[Message, str]] = []

    def send(message: Message, on_behalf_of: str) -> None:
        sent.append((message, on_behalf_of))

    follow_up(Context(headers), PROCESS_LEADS, send=send)
    follow_up(Context(headers), RUN_SUBTASKS, "a", "b", send=send)
    assert sent == [(Message(PROCESS_LEADS), request_id), (Message(RUN_SUBTASKS, ("a", "b")), request_id)]
