import asyncio
from typing import Any

import pytest

from db.intake import worker_batch
from tests.chaos.conftest import InProcess
from worker.tasks import leads


async def test_a_worker_lets_other_tasks_have_their_turn_while_leads_keep_coming(
    in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_empty(*_: Any) -> int:
        await asyncio.sleep(0.01)
        return 1

    monkeypatch.setattr(worker_batch, "process_inbox", never_empty)
    monkeypatch.setattr(leads, "TIME_SLICE_S", 0.1)
    assert await asyncio.wait_for(in_process.take_a_turn(), timeout=10) is False


async def test_a_worker_that_has_emptied_the_inbox_needs_no_other_turn(in_process: InProcess) -> None:
    await in_process.post(5)
    assert await in_process.take_a_turn() is True
    assert (await in_process.judge()).lost == 0
