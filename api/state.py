"""What the requests of one API process share."""

import asyncio
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.authentication import KeyRing
from api.traffic.backpressure import Backpressure
from api.traffic.concurrency import Turns
from api.traffic.rate_limit import RateLimiter
from db.core.settings import Settings
from db.intake.group_commit import InboxWriter
from db.ledger.policies import Policies
from db.tasks.notifications import Doorbell


@dataclass(slots=True)
class State:
    """Made when the process starts, see `api.app`."""

    settings: Settings
    engine: AsyncEngine
    doorbell: Doorbell
    inbox: InboxWriter
    policies: Policies
    keys: KeyRing
    limiter: RateLimiter
    backpressure: Backpressure
    turns: Turns
    downloads: asyncio.Semaphore
    """Slow readers of long reports may hold half of the database connections, never all of them."""


def state_of(request: Request) -> State:
    """The state of the app that serves the request."""
    state: State = request.app.state.leadger
    return state
