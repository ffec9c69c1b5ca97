"""What the requests of one API process share."""

import asyncio
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.auth import KeyRing
from api.backpressure import Backpressure
from api.limits import RateLimiter
from api.turns import Turns
from db.doorbell import Doorbell
from db.inbox_writer import InboxWriter
from db.policies import Policies
from db.settings import Settings


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
