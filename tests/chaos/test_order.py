from contextlib import suppress
from operator import attrgetter

import asyncpg
import pytest

from billing import evaluate
from tests.chaos.conftest import InProcess


async def _bill(in_process: InProcess) -> None:
    for _ in range(10):
        await in_process.post(20, customer=1)
        await in_process.work()


async def test_the_oracle_agrees_with_the_evaluation_order(in_process: InProcess) -> None:
    await _bill(in_process)
    judgement = await in_process.judge()
    assert (judgement.lost, judgement.billed_twice, judgement.wrong_totals) == (0, 0, 0), judgement.details


async def test_without_the_evaluation_order_the_oracle_complains(
    in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "in_evaluation_order", attrgetter("id"))
    with suppress(asyncpg.UniqueViolationError):  # the database may refuse first: two winners of one key
        await _bill(in_process)
    judgement = await in_process.judge()
    assert judgement.wrong_totals + judgement.lost > 0
