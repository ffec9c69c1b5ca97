"""The memory of an API process is bounded, whatever the bodies that it reads hold, and however many come."""

import gc
import gzip
import json
import time
from typing import Any

import httpx
import pytest

from api.app import create_app
from db.core.settings import Settings
from scripts.local.processes.process import Process
from tests.api.world import action, check_problem, lead, most_memory

MEGABYTE = 1024 * 1024
_ACTIONS = [action(f"Type {number % 7}", at=f"2024-04-01T10:{number:02d}:00Z") for number in range(50)]


def _body(megabytes: int, *more: dict[str, Any]) -> bytes:
    """So many megabytes of leads of fifty actions."""
    one = len(json.dumps(lead("lead-00000", *_ACTIONS)))
    leads = [lead(f"lead-{number:05d}", *_ACTIONS) for number in range(megabytes * 1_000_000 // one)]
    return json.dumps([*leads, *more]).encode()


def _post(server: tuple[str, Process], key: str, body: bytes, **headers: str) -> httpx.Response:
    headers |= {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return httpx.post(f"{server[0]}/leads", content=body, headers=headers, timeout=120)


def test_the_largest_body_with_one_bad_lead_takes_bounded_memory(
    shared_server: tuple[str, Process], shared_key: str
) -> None:
    """Failed before: it was decoded whole to look for names that are given twice, and the process grew by 200 MB."""
    body = _body(16, lead("bad", action(level="Unknown")))
    before = most_memory(shared_server[1])
    document = check_problem(_post(shared_server, shared_key, body), 400)
    assert [error["pointer"].split("/", 2)[2] for error in document["errors"]] == ["actions/0/engagement_level"]
    assert most_memory(shared_server[1]) - before < 90 * MEGABYTE
    assert most_memory(shared_server[1]) < 250 * MEGABYTE


@pytest.mark.slow
def test_fifty_large_bodies_in_turn_leave_nothing_behind(shared_server: tuple[str, Process], shared_key: str) -> None:
    good, bad = _body(4), _body(4, lead("bad", action(level="Unknown")))
    bodies = [(bad, 400, {}), (good, 202, {}), (gzip.compress(bad, 1), 400, {"content-encoding": "gzip"})]
    held = []
    for number in range(50):
        body, status, headers = bodies[number % 3]
        assert _post(shared_server, shared_key, body, **headers).status_code == status
        if number % 10 == 9:
            time.sleep(1.1)  # memory is given back once a second
            _post(shared_server, shared_key, body, **headers)
            held.append(most_memory(shared_server[1], "VmRSS"))
    assert max(held[1:]) - held[0] < 10 * MEGABYTE, held
    assert most_memory(shared_server[1]) < 250 * MEGABYTE


async def test_the_door_searches_for_cycles_among_few_objects_at_a_time(settings: Settings) -> None:
    """All threads wait for a search: 20 to 90 ms among 50,000 objects of a large body (docs/decisions/0027)."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    app = create_app(settings)
    try:
        async with app.router.lifespan_context(app):
            assert gc.get_threshold() == (5_000, 5, 1_000)
            assert gc.get_freeze_count() > 10_000
    finally:
        gc.set_threshold(*before)
