import pytest

from tests.chaos.conftest import InProcess
from tests.chaos.statements import Statements, watched

_BATCH = 6
_MOST_STATEMENTS = 45
"""More different ones than batches send."""


@pytest.mark.parametrize(
    "sqlstate",
    [
        pytest.param("40001", id="serialization failure", marks=pytest.mark.slow),
        pytest.param("40P01", id="deadlock"),
        pytest.param("57014", id="query canceled", marks=pytest.mark.slow),
        pytest.param("08006", id="connection broken"),
        pytest.param("53300", id="too many connections", marks=pytest.mark.slow),
    ],
)
async def test_every_statement_of_the_batch_fails_once(in_process: InProcess, sqlstate: str) -> None:
    for _ in range(3):
        await in_process.post(_BATCH)
        await in_process.work()
    struck: list[str] = []
    for _ in range(_MOST_STATEMENTS):
        await in_process.post(_BATCH)
        statements = Statements(sqlstate, struck)
        with watched(statements):
            await in_process.work()
        if statements.struck is not None:
            struck.append(statements.struck)
    for word in (
        "BEGIN",
        "try_advisory",
        "FROM inbox LEFT JOIN",
        "FOR UPDATE",
        "leads",
        "actions",
        "winners",
        "COMMIT",
    ):
        assert any(word in statement for statement in struck), f"no statement with {word} was struck"
    assert len(struck) < _MOST_STATEMENTS, "there may be statements that were not struck"
    judgement = await in_process.judge()
    assert (judgement.lost, judgement.billed_twice, judgement.wrong_totals, judgement.false_2xx) == (0, 0, 0, 0), (
        judgement.details
    )
    assert judgement.leads > _MOST_STATEMENTS * _BATCH / 2
    async with in_process.engine.connect() as pooled:
        connection = (await pooled.get_raw_connection()).driver_connection
        assert connection is not None
        assert await connection.fetchval("SELECT count(*) FROM inbox WHERE done_at IS NULL") == 0
        assert await connection.fetchval("SELECT count(*) FROM dead_letters") == 0
