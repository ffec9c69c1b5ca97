"""What the tasks of one worker process share."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.actor import SYSTEM, Actor
from db.core.engine import create_engine
from db.core.settings import Settings
from db.core.unit_of_work import Publish, UnitOfWork, unit_of_work
from db.intake.partitions import PartitionStarts
from db.ledger.policies import Policies
from db.tasks.notifications import publish
from db.telemetry.traced_connection import connection_class

_CONNECTIONS = 5
"""A rebuild and its subtask are locked, customers are judged, and verdicts are counted under another lock."""


@dataclass(slots=True, repr=False)
class Runtime:
    """The engine and the caches of a process, and how it sends messages."""

    settings: Settings
    engine: AsyncEngine
    policies: Policies = field(default_factory=Policies)
    publish: Publish = publish
    starts: PartitionStarts = field(default_factory=PartitionStarts)

    def unit_of_work(self, request_id: str = "", actor: Actor = SYSTEM) -> AbstractAsyncContextManager[UnitOfWork]:
        """A transaction on behalf of a request and its actor; its messages are sent after the commit."""
        return unit_of_work(self.engine, self.publish, actor=actor, request_id=request_id, caches=[self.policies])


def create_runtime(settings: Settings, name: str = "leadger-worker", publish: Publish = publish) -> Runtime:
    """A runtime with an engine of its own, which is to be disposed of at the end; `name` is that of its connections."""
    engine = create_engine(
        settings,
        name,
        pool_size=_CONNECTIONS,
        for_batches=True,
        connection_class=connection_class(),
    )
    return Runtime(settings, engine, publish=publish)
