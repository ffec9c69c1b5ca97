"""What the requests of one API process share."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.key_cache import KeyCache
from api.access.permissions import caller_of
from api.memory import Memory
from api.readiness import Readiness
from api.side_thread import SideThread
from api.traffic.backpressure import Backpressure
from api.traffic.body_budget import BodyBudget
from api.traffic.body_deadlines import BodyDeadlines
from api.traffic.concurrency import ConcurrencyLimit
from api.traffic.downloads import Downloads
from api.traffic.rate_limit import RateLimiter
from db.core.settings import Settings
from db.core.unit_of_work import UnitOfWork
from db.core.unit_of_work import unit_of_work as open_unit_of_work
from db.intake.group_commit import InboxWriter
from db.intake.waiting_leads import WaitingLeads
from db.ledger.policies import Policies
from db.tasks.notifications import Notifier


@dataclass(slots=True)
class State:
    """Made when the process starts, see `api.app`."""

    settings: Settings
    engine: AsyncEngine
    notifier: Notifier
    inbox: InboxWriter
    waiting_leads: WaitingLeads
    policies: Policies
    keys: KeyCache
    limiter: RateLimiter
    backpressure: Backpressure
    body_budget: BodyBudget
    body_deadlines: BodyDeadlines
    concurrency: ConcurrencyLimit
    memory: Memory
    readiness: Readiness
    dry_runs: SideThread
    downloads: Downloads
    """Making their texts takes half of the database connections at most."""


def unit_of_work(request: Request) -> AbstractAsyncContextManager[UnitOfWork]:
    """The unit of work of a request that changes something, on behalf of its caller."""
    state = state_of(request)
    return open_unit_of_work(
        state.engine,
        state.notifier.publish,
        actor=caller_of(request).actor,
        request_id=request.scope["request_id"],
        address=request.client.host if request.client else None,
        caches=[state.policies],
    )


def state_of(request: Request) -> State:
    """The state of the app that serves the request."""
    state: State = request.app.state.leadger
    return state
