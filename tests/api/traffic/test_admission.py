"""Memory that a large request took is given back to the system once it is answered, well or not."""

import json

import httpx
from fastapi import FastAPI

from api.memory import Memory
from tests.api.world import action, lead

_ACTIONS = [action(f"Type {number}") for number in range(50)]


class Counted(Memory):
    """The memory of the process, which counts how often it was given back."""

    times = 0

    def give_back(self) -> None:
        self.times += 1
        super().give_back()


def _body(leads: int, **fields: str) -> bytes:
    return json.dumps([lead(f"lead-{number}", *_ACTIONS, **fields) for number in range(leads)]).encode()


async def test_after_a_large_body_memory_is_given_back(app: FastAPI, client: httpx.AsyncClient) -> None:
    """Taking it out of admission was caught by nothing."""
    memory = app.state.leadger.memory = Counted()
    given_back = []
    for body, status in ((_body(300), 202), (_body(300, lead_type=""), 400), (_body(3), 202)):
        assert (await client.post("/leads", content=body)).status_code == status
        given_back.append((len(body) > 1024 * 1024, memory.times))
    assert given_back == [(True, 1), (True, 2), (False, 2)]
