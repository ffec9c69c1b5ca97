"""Everything that is asked of one database with much in it: by the API, the worker, the sweeper and the readers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from db.core.engine import create_engine, transaction
from db.core.row_keys import partner_uuid
from db.intake import backlog, inbox
from db.intake.worker_batch import process_inbox, retry_quarantined
from db.ledger import invariants, reevaluation
from db.ledger.policies import Policies
from db.tasks import pauses, records
from scripts.dev.bench.check import WrongTotals
from scripts.dev.bench.plans import ballast
from scripts.dev.bench.plans.batch import Cast
from scripts.dev.bench.plans.readers import read_everything
from scripts.dev.bench.plans.recorder import Recorder
from scripts.dev.bench.servers import Database, Servers
from scripts.dev.bench.traffic import WireLead

_OPEN = 202404
_LAST_CLOSED = 202403
_TERMS: tuple[dict[str, Any], ...] = ({"dedup_window": 30}, {"dedup_window": "period"}, {"cap_scope": "lifetime"})
"""Of the second, third and fourth partner; the first has the defaults."""
_CHANGING = 4
"""The partner whose customers are judged again, because its terms change before every batch."""
_AT_ONCE = 1000
_MOST_COUNTED = 1_000_000


class Scene:
    """A database with an application and a worker on it, all in this process."""

    def __init__(self, database: Database, http: httpx.AsyncClient, engine: AsyncEngine) -> None:
        self._world = database.world
        self._http = http
        self._engine = engine
        self._policies = Policies()

    async def prepare(self, stored: int) -> None:
        """Close what is stored, give some partners other terms, and quarantine many leads."""
        async with transaction(self._engine) as connection:
            await connection.execute("UPDATE partners SET closed_through = $1", _LAST_CLOSED)
            await ballast.quarantined(connection, stored // 100)
        for partner, terms in enumerate(_TERMS, start=1):
            await self._change_terms(partner, terms)
            while await reevaluation.rejudge_some_stale(self._engine, self._policies, [self._partner_id(partner)]):
                pass

    async def remember(self, cast: Cast) -> None:
        """Put the history of a cast on record."""
        await self._post(cast.history())
        await self._decide_all()

    async def play(self, cast: Cast, recorder: Recorder, stored: int) -> None:
        """Send, decide and read a batch while others wait behind it. WrongTotals if it comes out wrong."""
        await self._change_terms(_CHANGING, {"cap": f"{80 + cast.first % 7}.00"})
        async with recorder.on("api"):
            batch_id = await self._post(cast.batch())
        async with transaction(self._engine) as connection:
            last = await ballast.waiting(connection, self._world, cast.name, stored // 100)
        async with recorder.on("closing"), transaction(self._engine, readonly=True) as connection:
            await inbox.waiting_up_to(connection, await inbox.newest_waiting(connection))
        while await self._state(batch_id) != "done":
            async with recorder.on("worker"):
                await pauses.refuse_if_paused(self._engine)
                await process_inbox(self._engine, self._policies, _AT_ONCE)
        async with recorder.on("backpressure"), transaction(self._engine, readonly=True) as connection:
            await backlog.leads(connection, _MOST_COUNTED)
            await backlog.waited_s(connection)
        async with recorder.on("sweeper"):
            await self._sweep()
        await self._create(cast.missing_product)
        async with recorder.on("worker"):
            replayed = await retry_quarantined(self._engine, self._policies)
        await read_everything(self._http, recorder, cast, batch_id, last)
        await self._check(cast, batch_id, replayed)
        async with transaction(self._engine) as connection:
            await ballast.nobody_waits(connection)

    async def _sweep(self) -> None:
        async with transaction(self._engine, readonly=True) as connection:
            await records.due(connection)
        await retry_quarantined(self._engine, self._policies)

    async def _check(self, cast: Cast, batch_id: str, replayed: int) -> None:
        became = (await self._get(f"/leads/batches/{batch_id}"))["leads"]
        if became != cast.outcome() or replayed != cast.few:
            raise WrongTotals(f"the leads became {became}, {replayed} left the quarantine; wanted {cast.outcome()}")
        async with transaction(self._engine, readonly=True) as connection:
            for partner in range(self._world.partners):
                if found := await invariants.violations(connection, self._partner_id(partner), _OPEN):
                    raise WrongTotals(f"what is counted is not what is stored: {found}")

    async def _decide_all(self) -> None:
        while await process_inbox(self._engine, self._policies, _AT_ONCE):
            pass

    async def _post(self, leads: Sequence[WireLead]) -> str:
        answer = await self._http.post("/leads", json=leads)
        batch_id: str = answer.raise_for_status().json()["batch_id"]
        return batch_id

    async def _state(self, batch_id: str) -> str:
        state: str = (await self._get(f"/leads/batches/{batch_id}"))["state"]
        return state

    async def _get(self, path: str) -> dict[str, Any]:
        content: dict[str, Any] = (await self._http.get(path)).raise_for_status().json()
        return content

    async def _change_terms(self, partner: int, terms: dict[str, Any]) -> None:
        (await self._http.patch(f"/api/partners/{self._world.partner(partner)}", json=terms)).raise_for_status()

    async def _create(self, product: str) -> None:
        content = {"external_id": product, "partner": self._world.partner(0), "name": product}
        (await self._http.post("/api/products", json=content)).raise_for_status()

    def _partner_id(self, partner: int) -> UUID:
        return partner_uuid(self._world.partner(partner))


@asynccontextmanager
async def opened(servers: Servers, database: Database) -> AsyncIterator[Scene]:
    """The application and the worker's engine, connected."""
    # The application must not measure its backlog by itself, in the midst of whatever is recorded.
    settings = servers.settings(database.url).model_copy(update={"max_inbox_leads": 0, "max_inbox_age_s": 0})
    app = create_app(settings)
    engine = create_engine(settings, "bench", pool_size=3, for_batches=True)
    headers = {"Authorization": f"Bearer {database.key}"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers, timeout=60) as http,
    ):
        yield Scene(database, http, engine)
    await engine.dispose()
