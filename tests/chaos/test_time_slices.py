import asyncio
from typing import Any

import pytest

from db.intake import worker_batch
from tests.chaos.conftest import InProcess
from worker.tasks import leads


async def test_a_time_slice_ends_while_leads_keep_coming(
    in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_empty(*_: Any, **__: Any) -> int:
        await asyncio.sleep(0.01)
        return 1

    monkeypatch.setattr(worker_batch, "process_inbox", never_empty)
    monkeypatch.setattr(leads, "TIME_SLICE_S", 0.1)
    assert await asyncio.wait_for(in_process.work_one_time_slice(), timeout=10) is False


async def test_a_time_slice_that_empties_the_inbox_is_the_last_one(in_process: InProcess) -> None:
    await in_process.post(5)
    assert await in_process.work_one_time_slice() is True
    assert (await in_process.judge()).lost == 0
