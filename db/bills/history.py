"""The history of a bill (B6): every move with who, from, to and the digest in view, kept for ever."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.bills.history import Made
from billing.bills.states import Move, State
from db.core.actor import Actor, actor_from_row


@dataclass(frozen=True, slots=True)
class BillAction:
    """One move of a bill; `from_state` is None for the one that made it."""

    position: int
    at: datetime
    who: Actor
    move: str
    from_state: State | None
    to_state: State
    digest: str
    comment: str | None


async def add(
    connection: asyncpg.Connection,
    bill_id: UUID,
    who: Actor,
    move: str,
    from_state: State | None,
    to_state: State,
    digest: str,
    comment: str | None = None,
) -> None:
    """Add a move, under the lock of the partner's bills."""
    await add_all(connection, who, move, [(bill_id, from_state, to_state, digest, comment)])


async def add_all(
    connection: asyncpg.Connection,
    who: Actor,
    move: str,
    moved: Iterable[tuple[UUID, State | None, State, str, str | None]],
) -> None:
    """Add one move of several bills: of each its id, the states from and to, the digest and the comment."""
    new = list(moved)
    await connection.execute(
        """
        INSERT INTO bill_actions
            (bill_id, position, who_kind, who_id, who_name, move, from_state, to_state, digest, comment)
        SELECT id, coalesce((SELECT max(position) FROM bill_actions WHERE bill_id = id), 0) + 1, $1, $2, $3, $4,
            from_state, to_state, digest, comment
        FROM unnest($5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[])
            AS new (id, from_state, to_state, digest, comment)
        """,
        who.kind,
        who.id,
        who.name,
        move,
        *([each[place] for each in new] for place in range(5)),
    )


async def read(connection: asyncpg.Connection, bill_id: UUID, *, after: int = 0, limit: int) -> list[BillAction]:
    """The moves of a bill, the oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM bill_actions WHERE bill_id = $1 AND position > $2::bigint ORDER BY position LIMIT $3",
        bill_id,
        after,
        limit,
    )
    return [_action_from_row(row) for row in rows]


async def newest(
    connection: asyncpg.Connection, bill_id: UUID, moves: Iterable[Move], most: int = 50
) -> list[BillAction]:
    """The last actions of a bill that are such moves, the newest first."""
    rows = await connection.fetch(
        "SELECT * FROM bill_actions WHERE bill_id = $1 AND move = ANY($2::text[]) ORDER BY position DESC LIMIT $3",
        bill_id,
        list(moves),
        most,
    )
    return [_action_from_row(row) for row in rows]


async def last_mover(connection: asyncpg.Connection, bill_id: UUID) -> str:
    """The name of who moved a bill last."""
    name: str | None = await connection.fetchval(
        "SELECT who_name FROM bill_actions WHERE bill_id = $1 ORDER BY position DESC LIMIT 1", bill_id
    )
    return name or ""


def made(move: Move, who: Actor, digest: str) -> Made:
    """A move as the rule of repeated moves compares it."""
    return Made(move, (who.kind.value, str(who.id)), digest)


def _action_from_row(row: asyncpg.Record) -> BillAction:
    from_state = row["from_state"]
    return BillAction(
        position=row["position"],
        at=row["at"],
        who=actor_from_row(row),
        move=row["move"],
        from_state=None if from_state is None else State(from_state),
        to_state=State(row["to_state"]),
        digest=row["digest"],
        comment=row["comment"],
    )
