"""Faults: Postgres gone, Redis gone, and unexpected errors. Nothing that was acknowledged is ever lost (R2)."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api import problems
from api.access import caller_cache
from api.app import create_app
from api.pages import dashboard
from db.core import locks
from db.core.engine import create_engine, transaction
from db.core.errors import CANNOT_WRITE, TRANSIENT
from db.core.migrate import upgrade
from db.core.settings import Settings
from db.intake import backlog, inbox, worker_batch
from db.intake.inbox import Accepted
from db.intake.payloads import leads_from_payload
from db.ledger.policies import Policies
from db.reports import leads_on_record
from db.telemetry import health
from scripts.dev.bench.usage import of_folder
from scripts.local.embedded.ports import free_port
from scripts.local.embedded.postgres import Postgres, prepare_postgres
from scripts.local.processes.process import Process
from tests.api.access.walk import NEEDED, Anybody, Route, routes_of
from tests.api.world import Json, accept, bill, check_problem, get, lead, make_masters
from tests.failover import failed_over
from tests.keys import new_key
from tests.logs import capturing_log

_UNFIT = "The database is not as it should be just now"
_CHANGED = "The tables of the database are being changed just now"
SQL_WORDS = ("SELECT", "INSERT", "inbox", "relation", "column", "asyncpg", "Error", "Traceback")


class KillablePostgres:
    """A server of this test's own, to be killed and started again on the same port."""

    def __init__(self, data_dir: Path) -> None:
        self.server: Postgres = prepare_postgres(data_dir, durable=True)
        self.start()

    def start(self) -> None:
        self.server.clear_leftovers()
        self.process = Process(self.server.command)
        deadline = time.monotonic() + 30
        while not self.server.is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        # What served a connection ends when it sees that its server is gone; until then it may still commit.
        deadline = time.monotonic() + 30
        while of_folder(self.server.data_dir):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillablePostgres]:
    server = KillablePostgres(tmp_path_factory.mktemp("killable") / "data")
    upgrade(server.server.url)
    yield server
    server.process.stop()
    server.process.wait()


@pytest.fixture
async def client_of_killable(
    killable: KillablePostgres, redis_url: str, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application on the server that gets killed."""
    settings = Settings(database_url=killable.server.url, redis_url=redis_url, home=tmp_path)
    engine = create_engine(settings)
    key = await new_key(engine)
    async with transaction(engine) as connection:
        await connection.execute("TRUNCATE inbox")
    await engine.dispose()
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as client,
    ):
        yield client


async def _stored(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT payload FROM inbox")
        return {lead.external_id for row in rows for lead in leads_from_payload(row["payload"])}
    finally:
        await connection.close()


def _check_database_unavailable(
    response: httpx.Response, because: str = "The database cannot be reached just now"
) -> None:
    document = check_problem(response, 503)
    assert response.headers["retry-after"] == "2"
    assert document["detail"] == f"{because}; try again in a moment. A lead that is sent twice counts once."


async def test_without_postgres_nothing_is_acknowledged_and_afterwards_all_goes_on(
    killable: KillablePostgres, client_of_killable: httpx.AsyncClient
) -> None:
    await accept(client_of_killable, lead("before"))
    await asyncio.gather(*(client_of_killable.get("/leads") for _ in range(8)))  # all connections of the pool are open
    killable.kill()
    for _ in range(3):
        _check_database_unavailable(await client_of_killable.post("/leads", json=lead("lost")))
    for path in ("/leads", "/leads/x", "/billing/reports", "/api/partners", "/metrics", "/leads/batches"):
        _check_database_unavailable(await client_of_killable.get(path))
    _check_database_unavailable(await client_of_killable.post("/leads", json=lead("lost"), params={"dry_run": "true"}))
    _check_database_unavailable(await client_of_killable.post("/api/partners", json={"external_id": "x", "name": "X"}))
    assert (await client_of_killable.get("/health")).status_code == 200
    ready = check_problem(await client_of_killable.get("/ready"), 503)
    assert ready["detail"] == "Postgres cannot be reached."
    await asyncio.sleep(2.1)  # by then the key is no longer cached
    _check_database_unavailable(await client_of_killable.post("/leads", json=lead("lost")))
    killable.start()
    answers = await asyncio.gather(*(client_of_killable.get("/leads") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    await accept(client_of_killable, lead("after"))
    assert (await get(client_of_killable, "/ready"))["status"] == "ok"
    assert await _stored(killable.server.url) == {"before", "after"}


@pytest.mark.parametrize("moment_s", [0.02, 0.2])
async def test_a_2xx_is_kept_whenever_postgres_is_killed(
    killable: KillablePostgres, client_of_killable: httpx.AsyncClient, moment_s: float
) -> None:
    acknowledged: set[str] = set()
    statuses: set[int] = set()

    async def send(sender: int) -> None:
        for number in range(25):
            lead_id = f"{sender}-{number}"
            response = await client_of_killable.post("/leads", json=lead(lead_id))
            statuses.add(response.status_code)
            if response.status_code == 202:
                acknowledged.add(lead_id)
            else:
                _check_database_unavailable(response)
            got = await client_of_killable.get("/leads", params={"limit": 1})
            assert got.status_code in (200, 503)

    senders = [asyncio.create_task(send(sender)) for sender in range(10)]
    await asyncio.sleep(moment_s)
    await asyncio.to_thread(killable.kill)
    await asyncio.to_thread(killable.start)
    await asyncio.gather(*senders)
    await accept(client_of_killable, lead("afterwards"))
    assert statuses <= {202, 503}
    assert acknowledged | {"afterwards"} <= await _stored(killable.server.url)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.exceptions.AdminShutdownError("terminating connection"),
        asyncpg.exceptions.DeadlockDetectedError("deadlock detected"),
        ConnectionResetError("peer"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_fault_of_the_moment_is_a_503(
    shared_client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(leads_on_record, "page", fail)
    monkeypatch.setattr(inbox, "add", fail)
    _check_database_unavailable(await shared_client.get("/leads"))
    _check_database_unavailable(await shared_client.post("/leads", json=lead()))


@pytest.mark.parametrize(
    ("error", "because"),
    [
        (asyncpg.exceptions.DiskFullError("could not extend file"), "The disk of the database is full"),
        (asyncpg.exceptions.ReadOnlySQLTransactionError("no"), "The database takes no writes just now"),
        (
            asyncpg.exceptions.InvalidCachedStatementError("cached plan must not change result type"),
            _CHANGED,
        ),
        (
            asyncpg.exceptions.LockNotAvailableError("canceling statement due to lock timeout"),
            "The same is being changed by others just now",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_database_that_answers_and_does_not_write_is_a_503_with_its_reason(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, error: Exception, because: str
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "add", fail)
        _check_database_unavailable(await client.post("/leads", json=lead()), because)
    if isinstance(error, CANNOT_WRITE):
        assert check_problem(await client.get("/ready"), 503)["detail"] == f"{because}."
    await accept(client, lead())
    assert await get(client, "/ready") == {"status": "ok", "degraded": []}


async def test_a_failover_costs_no_write_and_needs_no_restart(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, database_url: str
) -> None:
    """Case 48: the server goes away, comes back read-only, and writes again while its connections stay open."""
    await make_masters(client)
    await accept(client, lead("before"))
    taken_no_writes = "The database takes no writes just now"
    async with failed_over(database_url):
        await asyncio.sleep(0.1)  # until the pool has heard that its connections are closed
        assert check_problem(await client.get("/ready"), 503)["detail"] == f"{taken_no_writes}."
        for path, body in (
            ("/leads", lead("meanwhile")),
            ("/api/partners", {"external_id": "p", "name": "P"}),
            ("/api/workers/pause", {"reason": "failover"}),
        ):
            _check_database_unavailable(await client.post(path, json=body), taken_no_writes)
        with pytest.raises(TRANSIENT):
            await worker_batch.process_inbox(engine, policies, 1000)
        assert (await client.get("/leads")).status_code == 200
        assert (await client.post("/leads?dry_run=true", json=lead("tried"))).status_code == 200
    # Who changes something has connections that no reader opened meanwhile.
    assert (await client.post("/api/partners", json={"external_id": "p", "name": "P"})).status_code == 201
    # Leads are accepted on connections of their own; one that looked up a key meanwhile is replaced by the first lead.
    first, second = [(await client.post("/leads", json=lead("after"))).status_code for _ in range(2)]
    assert (first in (202, 503), second) == (True, 202)
    assert await get(client, "/ready") == {"status": "ok", "degraded": []}
    assert await worker_batch.process_inbox(engine, policies, 1000)
    for lead_id, status in (("before", 200), ("meanwhile", 404), ("after", 200)):
        assert (await client.get(f"/leads/{lead_id}")).status_code == status
    assert (await get(client, "/leads/after"))["state"] == "done"
    assert (await get(client, "/api/quarantine/dead-letters"))["items"] == []


async def test_no_read_of_leads_is_a_500_while_tables_change(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    """Case 49."""
    await make_masters(client)
    await bill(client, engine, policies, lead())
    changes = (
        "ADD COLUMN probe integer",
        "DROP COLUMN probe",
        "ALTER COLUMN lead_type TYPE varchar",
        "ALTER COLUMN lead_type TYPE text",
    )
    statuses = set()
    for change in changes:
        await asyncio.gather(*(client.get("/leads/lead-1") for _ in range(8)))
        async with transaction(engine) as connection:
            await connection.execute(f"ALTER TABLE leads {change}")
        for _ in range(3):
            answers = [await client.get("/leads/lead-1"), await client.get("/leads")]
            statuses |= {answer.status_code for answer in answers}
        assert {answer.status_code for answer in answers} == {200}
        await accept(client, lead("later"))
    assert statuses <= {200, 503}


async def test_everybody_may_ask_whether_it_is_ready_and_nothing_waits_for_that(
    database_url: str, engine: AsyncEngine, admin_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    measure = health.missing_migrations

    async def count(connection: asyncpg.Connection) -> str | None:
        nonlocal asked
        asked += 1
        return await measure(connection)

    monkeypatch.setattr(health, "missing_migrations", count)
    silent = socket.create_server(("127.0.0.1", 0), backlog=100)
    settings = Settings(
        database_url=database_url, redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}", home=tmp_path
    )
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {admin_key}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as client,
    ):
        crowd = [asyncio.create_task(client.get("/ready")) for _ in range(60)]
        await asyncio.sleep(0.2)
        started = time.monotonic()
        await accept(client, *(lead(f"lead-{number}", lead_type="x" * 200) for number in range(400)))
        assert time.monotonic() - started < 0.8
        assert {answer.status_code for answer in await asyncio.gather(*crowd)} == {200}
        assert asked == 1
    silent.close()


@pytest.mark.parametrize(
    ("error", "because"),
    [
        (asyncpg.exceptions.UndefinedTableError('relation "inbox" does not exist'), _UNFIT),
        (asyncpg.exceptions.UndefinedColumnError('column "part" does not exist'), _CHANGED),
        (asyncpg.exceptions.UndefinedFunctionError("function count_up() does not exist"), _UNFIT),
        (asyncpg.exceptions.UndefinedObjectError('type "outcome" does not exist'), _UNFIT),
        (asyncpg.exceptions.WrongObjectTypeError('"inbox" is a view'), _UNFIT),
        (asyncpg.exceptions.InsufficientPrivilegeError("permission denied for table inbox"), _UNFIT),
        (asyncpg.exceptions.InvalidSchemaNameError('schema "public" does not exist'), _UNFIT),
        (asyncpg.exceptions.InvalidCatalogNameError('database "leadger" does not exist'), _UNFIT),
        (asyncpg.exceptions.InvalidPasswordError("password authentication failed"), _UNFIT),
        (asyncpg.exceptions.PostgresIOError("could not read block 0"), _UNFIT),
        (asyncpg.exceptions.IndexCorruptedError("index contains unexpected zero page"), _UNFIT),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_is_not_as_it_should_be_in_the_database_is_a_503_that_is_logged_like_an_error_of_ours(
    shared_client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, error: Exception, because: str
) -> None:
    log, logged = capturing_log()
    monkeypatch.setattr(problems, "log", log)

    async def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(leads_on_record, "page", fail)
    monkeypatch.setattr(inbox, "add", fail)
    answers = [await shared_client.get("/leads"), await shared_client.post("/leads", json=lead())]
    for answer in answers:
        _check_database_unavailable(answer, because)
        assert not [word for word in SQL_WORDS if word in answer.text]
    assert [(entry["event"], entry["exc_info"]) for entry in logged] == [("request_failed", True)] * 2


_WITHOUT_DATABASE = {
    "get_health",
    "lead_to_partner",
    "lead_to_partners",
    "search",
    "show_import",
    "show_new_partner",
    "show_new_person",
    "show_own_partner",
    "show_reconciliations",
    "show_returns",
    "show_settings",
    "show_what_if",
    "stream_health",
}
"""Pages that are forms or lead to other pages, and figures that are told as unknown."""


async def test_while_tables_are_away_every_route_says_503_and_afterwards_goes_on(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: 500, which senders do not repeat."""
    monkeypatch.setattr(dashboard, "STREAM_S", 0.1)
    monkeypatch.setattr(caller_cache, "TIME_TO_LIVE_S", 60.0)  # the routes are asked, not only the table of keys
    assert (await client.get("/leads")).status_code == 200
    routes = [route for route in routes_of(app) if not isinstance(NEEDED[route.name], Anybody)]
    async with transaction(engine) as connection:
        await connection.execute("ALTER SCHEMA public RENAME TO away")
    answers = {route: await route.send(client) for route in routes}
    answers |= {Route("", "POST", "/leads"): await client.post("/leads", json=lead())}
    without = {
        route.name for route, answer in answers.items() if route.method == "GET" and answer.status_code in (200, 303)
    }
    assert without == _WITHOUT_DATABASE
    for route, answer in answers.items():
        if route.name not in without and (route.method == "GET" or answer.status_code >= 500):
            _check_database_unavailable(answer, _UNFIT)
    assert sum(answer.status_code == 503 for answer in answers.values()) > 40
    check_problem(await client.get("/ready"), 503)
    async with transaction(engine) as connection:
        await connection.execute("ALTER SCHEMA away RENAME TO public")
    await accept(client, lead())
    assert (await client.get("/leads")).status_code == 200


async def test_while_a_right_is_missing_it_is_not_ready_and_says_so(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: it said that Postgres cannot be reached."""

    async def fail(*_: Any, **__: Any) -> None:
        raise asyncpg.exceptions.InsufficientPrivilegeError("permission denied for table inbox")

    monkeypatch.setattr(backlog, "waited_s", fail)
    assert check_problem(await client.get("/ready"), 503)["detail"] == f"{_UNFIT}."


async def test_a_value_that_the_database_cannot_take_is_our_fault_and_not_an_outage(
    shared_client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(connection: asyncpg.Connection, *_: Any, **__: Any) -> None:
        await connection.fetch("SELECT $1::int", 2**80)

    monkeypatch.setattr(leads_on_record, "page", fail)
    check_problem(await shared_client.get("/leads"), 500)


async def test_one_request_that_cannot_be_stored_does_not_stop_the_next(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inbox.add

    async def picky(connection: asyncpg.Connection, requests: list[Accepted]) -> None:
        if any(lead.external_id == "bad" for request in requests for lead in request.leads):
            raise ZeroDivisionError
        await real(connection, requests)

    monkeypatch.setattr(inbox, "add", picky)
    check_problem(await client.post("/leads", json=lead("bad")), 500)
    await accept(client, lead("good"))


async def test_without_redis_acceptance_goes_on(
    database_url: str, engine: AsyncEngine, admin_key: str, tmp_path: Path
) -> None:
    settings = Settings(database_url=database_url, redis_url=f"redis://127.0.0.1:{free_port()}", home=tmp_path)
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {admin_key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as client,
    ):
        started = time.monotonic()
        for number in range(50):
            await accept(client, lead(f"lead-{number}"))
        assert time.monotonic() - started < 5
        ready: Json = await get(client, "/ready")
        assert ready == {"status": "degraded", "degraded": ["redis: cannot be reached"]}
        deadline = time.monotonic() + 10
        while not app.state.leadger.notifier.failures:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        failures = [
            line for line in (await client.get("/metrics")).text.splitlines() if "doorbell_failures_total" in line
        ]
        assert float(failures[-1].split()[1]) >= 1
    async with transaction(engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM inbox") == 50


async def test_a_redis_that_does_not_answer_holds_up_nobody(
    database_url: str, engine: AsyncEngine, admin_key: str, tmp_path: Path
) -> None:
    silent = socket.create_server(("127.0.0.1", 0), backlog=100)  # accepts connections and never answers
    redis_url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
    settings = Settings(database_url=database_url, redis_url=redis_url, home=tmp_path)
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {admin_key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as client,
    ):
        started = time.monotonic()
        for number in range(20):
            await accept(client, lead(f"lead-{number}"))
        assert time.monotonic() - started < 3
        assert (await get(client, "/ready"))["degraded"] == ["redis: cannot be reached"]
    silent.close()


async def test_a_schema_that_is_not_up_to_date_is_not_ready(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    assert (await get(client, "/ready")) == {"status": "ok", "degraded": []}
    async with transaction(engine) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '0001'")
    document = check_problem(await client.get("/ready"), 503)
    assert document["detail"].startswith("The database schema is not up to date: it is at 0001, ")
    async with transaction(engine) as connection:
        await connection.execute("DROP TABLE alembic_version")
        await connection.execute("ALTER TABLE inbox RENAME TO elsewhere")
    assert "Run `alembic upgrade head`" in check_problem(await client.get("/ready"), 503)["detail"]


async def test_a_process_holds_no_more_connections_than_documented(settings: Settings, engine: AsyncEngine) -> None:
    """docs/scaling.md: half of the pool for changes, half for reading, 3 to accept leads, 2 to try them."""
    app = create_app(settings.model_copy(update={"database_pool_size": 4}))
    headers = {"Authorization": f"Bearer {await new_key(engine)}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://leadger", headers=headers) as client,
    ):
        await make_masters(client)
        asked = [
            ask
            for number in range(20)
            for ask in (
                client.get("/leads"),
                client.get("/ready"),
                client.patch("/api/partners/acme", json={"name": f"Acme {number}"}),
                client.post("/leads", json=lead(f"lead-{number}")),
                client.post("/leads?dry_run=true", json=lead()),
            )
        ]
        assert {(await each).status_code for each in asyncio.as_completed(asked)} <= {200, 202}
        async with transaction(engine, readonly=True) as connection:
            held = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1",
                "leadger-api",
            )
    assert 2 + 2 + 2 < held <= 2 + 2 + 3 + 2


async def test_requests_that_wait_for_a_lock_keep_no_lead_out_and_end_soon(
    settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: as many of them as the pool has connections, and leads were refused (503) after ten seconds."""
    monkeypatch.setattr("api.app.LOCK_TIMEOUT_S", 2)
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {await new_key(engine)}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://leadger", headers=headers) as client,
    ):
        await make_masters(client)
        partner_id = (await get(client, "/api/partners/acme"))["partner_id"]
        async with transaction(engine) as other:
            await locks.lock_partner_exclusive(other, asyncpg.pgproto.pgproto.UUID(partner_id))
            waiting = [
                asyncio.create_task(client.patch("/api/partners/acme", json={"cap": "7.00"}))
                for _ in range(settings.database_pool_size)
            ]
            await asyncio.sleep(0.3)
            other_key = {"Authorization": f"Bearer {await new_key(engine, 'another')}"}
            response = await client.post("/leads", json=lead(), headers=other_key)
            ready = await client.get("/ready")
            assert not any(each.done() for each in waiting)
            refused = await asyncio.gather(*waiting)
        assert (response.status_code, ready.status_code) == (202, 200)
        assert {(each.status_code, each.headers["Retry-After"]) for each in refused} == {(503, "2")}
        assert "The same is being changed by others just now" in refused[0].json()["detail"]
        assert (await get(client, "/api/partners/acme"))["cap"] != "7.00"
