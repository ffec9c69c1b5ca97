"""B7: whatever breaks while bills are made, submitted, issued, written and sent: one number, no gap, one mail."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from db.account import conservation
from db.bills import numbers
from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.core.settings import Settings
from tests.api.office import Office
from tests.api.world import Json, get, get_all
from tests.chaos.statements import Statements, watched

MONTHS = [f"{2010 + month // 12}-{month % 12 + 1:02d}" for month in range(150)]
"""More than there are statements in one step."""

Act = Callable[[], Awaitable[httpx.Response]]


class AtCommit(Statements):
    """Lets only a COMMIT fail."""

    async def before(self, connection: asyncpg.Connection, plain: Callable[..., Any], what: str) -> None:
        if what == "COMMIT;":
            await super().before(connection, plain, what)


async def answered(act: Act) -> httpx.Response:
    """Ask as a caller does who is told to try again."""
    for _ in range(5):
        answer = await act()
        if answer.status_code != 503:
            return answer
    raise AssertionError(answer.text)


async def struck(act: Act, statements: Statements) -> httpx.Response:
    with watched(statements):
        return await answered(act)


async def work(office: Office) -> None:
    """Run the tasks that wait; a worker that loses its connection is announced them again."""
    with suppress(*TRANSIENT):
        await office.work()
    await office.work()


async def make(office: Office, month: str) -> httpx.Response:
    asked = await office.client.post("/api/bills", json={"partner": "acme", "period": month})
    await work(office)
    return asked


async def write_files(office: Office) -> httpx.Response:
    await work(office)
    return await office.client.get("/health")


async def send(office: Office, bill: Json) -> httpx.Response:
    answer = await office.client.post(f"/api/bills/{bill['bill_id']}/send", json={})
    await work(office)
    return answer


async def found(office: Office, month: str) -> Json:
    """The bill of a month, once its tasks are done."""
    while not (items := (await get(office.client, "/api/bills", period=month))["items"]):
        await office.work()
    return dict(items[0])


@pytest.fixture
async def months(office: Office) -> list[str]:
    """Months of acme with a lead in each, whose bills ask for no approval."""
    preferences: Json = {"preferences": {"approvals": [], "emails": ["fin@acme.example"]}}
    assert (await office.client.patch("/api/partners/acme", json=preferences)).status_code == 200
    return MONTHS


async def check(office: Office, bills: int, settings: Settings, *, sent: bool = False) -> None:
    """So many bills were issued, each once, and sent once if they were to be."""
    await office.work()
    async with transaction(office.engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT id, number FROM bills WHERE number IS NOT NULL ORDER BY period")
        assert [row["number"] for row in rows] == [f"ACME-{number:04d}" for number in range(1, bills + 1)]
        for table, each in (("account_entries", 1), ("bill_files", 4), ("proofs", 1), ("mails", int(sent))):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == bills * each
        partner_id = await connection.fetchval("SELECT id FROM partners")
        assert await conservation.difference(connection, partner_id) is None
    moves = {"create": 1, "submit": 1, "issue": 1} | ({"send": 1} if sent else {})
    for row in rows[-2:]:
        history = await get_all(office.client, f"/api/bills/{row['id']}/actions")
        assert Counter(each["move"] for each in history) == moves
    outbox = settings.home / "outbox"  # a file is named after the Message-ID
    assert len(list(outbox.glob("*.eml"))) == bills * sent


async def away_at_each_commit(office: Office, months: list[str], settings: Settings) -> None:
    """A bill is made, submitted, issued, written and sent, and Postgres is away at each COMMIT of it once."""
    await office.lead_in(months[0])
    await struck(partial(make, office, months[0]), AtCommit("08006", []))
    bill = await found(office, months[0])
    for move in ("submit", "issue"):
        for _ in range(2):  # once more, as who heard no answer does
            statements = AtCommit("08006", [])
            assert (await struck(partial(office.move, bill, move), statements)).status_code == 200
            assert statements.struck is not None
    await struck(partial(write_files, office), AtCommit("08006", []))
    await office.work()
    assert (await struck(partial(send, office, bill), AtCommit("08006", []))).is_success
    await check(office, 1, settings, sent=True)


async def test_b07_postgres_is_away_at_each_commit(office: Office, months: list[str], settings: Settings) -> None:
    await away_at_each_commit(office, months, settings)


@pytest.mark.slow
async def test_b07_a_number_that_is_taken_apart_from_the_issue_leaves_a_gap(
    office: Office, months: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = numbers.take
    prefix: Json = {"preferences": {"number_prefix": "ACME"}}
    assert (await office.client.patch("/api/partners/acme", json=prefix)).status_code == 200

    async def taken_apart(_: asyncpg.Connection, partner_id: UUID, external_id: str, kind: str) -> str:
        connection = await asyncpg.connect(settings.database_url)  # whose statements are never taken back
        try:
            return await take(connection, partner_id, external_id, kind)
        finally:
            await connection.close()

    monkeypatch.setattr(numbers, "take", taken_apart)
    with pytest.raises(AssertionError, match="ACME-000"):
        await away_at_each_commit(office, months, settings)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["make", "submit", "issue", "files", "send"])
async def test_b07_every_statement_breaks_once(
    office: Office, months: list[str], settings: Settings, step: str
) -> None:
    months = months if step == "make" else months[:60]
    await office.lead_in(*months)
    if step != "make":
        await office.make(months[-1])
    spared: list[str] = []

    async def act(now: str, what: Act) -> None:
        """Do it, and if this is the step to strike, break the first statement in it that was not broken yet."""
        statements = Statements("08006", list(spared))
        answer = await (struck(what, statements) if now == step else answered(what))
        assert answer.status_code < 300, answer.text
        spared.extend([statements.struck] if statements.struck else [])

    rounds = 0
    for month in months:
        rounds, before = rounds + 1, len(spared)
        if step == "make":
            await act("make", partial(make, office, month))
        bill = await found(office, month)
        for move in ("submit", "submit", "issue", "issue"):
            await act(move, partial(office.move, bill, move))
        if step == "files":
            await act("files", partial(write_files, office))
        if step == "send":
            await office.work()
            await act("send", partial(send, office, bill))
        if len(spared) == before:
            break
    else:
        raise AssertionError("there may be statements that were not broken")
    assert "COMMIT;" in spared
    await check(office, rounds, settings, sent=step == "send")
