"""What the requests of one API process share."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.caller_cache import CallerCache
from api.access.permissions import caller_of
from api.memory import Memory
from api.readiness import Readiness
from api.shared import Shared
from api.side_thread import SideThread
from api.traffic.backpressure import Backpressure
from api.traffic.body_budget import BodyBudget
from api.traffic.body_deadlines import BodyDeadlines
from api.traffic.concurrency import ConcurrencyLimit
from api.traffic.downloads import Downloads
from api.traffic.leads_first import LeadsFirst
from api.traffic.rate_limit import RateLimiter
from api.traffic.sign_ins import SignIns
from api.traffic.streams import Streams
from db.core.actor import Actor
from db.core.settings import Settings
from db.core.unit_of_work import UnitOfWork
from db.core.unit_of_work import unit_of_work as open_unit_of_work
from db.intake.group_commit import InboxWriter
from db.intake.waiting_leads import WaitingLeads
from db.ledger.policies import Policies
from db.reports.day_totals import DayTotals
from db.tasks.notifications import Notifier
from db.telemetry.business_figures import Figures

_OF_THREAD = "leadger.state_of_thread"


@dataclass(slots=True)
class State:
    """Made when the process starts, see `api.app`."""

    settings: Settings
    engine: AsyncEngine
    notifier: Notifier
    inbox: InboxWriter
    waiting_leads: WaitingLeads
    policies: Policies
    keys: CallerCache
    sessions: CallerCache
    sign_ins: SignIns
    limiter: RateLimiter
    backpressure: Backpressure
    body_budget: BodyBudget
    body_deadlines: BodyDeadlines
    concurrency: ConcurrencyLimit
    leads_first: LeadsFirst
    memory: Memory
    readiness: Readiness
    reading: SideThread
    dry_runs: SideThread
    downloads: Downloads
    """Making their texts takes half of the connections for reading at most."""
    streams: Streams
    health: Shared[Figures]
    """What the pages show live."""
    days: dict[int, Shared[list[DayTotals]]]
    """What was billed on each day, by period, for the pages."""


def unit_of_work(request: Request, actor: Actor | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
    """The unit of work of a request that changes something, on behalf of its caller, or of who turned out to call."""
    state = state_of(request)
    return open_unit_of_work(
        state.engine,
        state.notifier.publish,
        actor=actor or caller_of(request).actor,
        request_id=request.scope["request_id"],
        address=address_of(request),
        caches=[state.policies],
    )


def address_of(request: Request) -> str | None:
    """The address that the request came from; what a header says of it is not believed."""
    return request.client.host if request.client else None


async def answer_beside(request: Request, handle: Callable[[Request], Awaitable[Response]]) -> Response:
    """The answer to a request that only reads, made in the thread for reading and with its connections."""
    state = state_of(request)

    async def answer(engine: AsyncEngine) -> Response:
        request.scope[_OF_THREAD] = replace(state, engine=engine)
        return await handle(request)

    async with state.leads_first.turn():
        return await state.reading.run(answer)


def state_of(request: Request) -> State:
    """The state of the app that serves the request; `engine` is that of the thread which answers it."""
    state: State = request.scope.get(_OF_THREAD) or request.app.state.leadger
    return state
