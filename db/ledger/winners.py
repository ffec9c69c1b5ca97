"""Winners on record: the actions that hold, or once held, their duplicate keys (R6)."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg

from billing.actions import WINNING, Action, Winner
from billing.duplicates import NEVER_RELEASED
from db.ledger.case import Case

_WINNER_COLUMNS = [
    "partner_id",
    "customer_id",
    "duplicate_key",
    "slot",
    "released_from",
    "action_id",
    "billing_period",
    "own_period",
    "occurred_at",
]


async def by_key(connection: asyncpg.Connection, keys: Iterable[UUID]) -> dict[UUID, list[Winner]]:
    """The actions that hold, or once held, each duplicate key, in evaluation order."""
    rows = await connection.fetch(
        """
        SELECT duplicate_key, action_id, billing_period, own_period, occurred_at, released_from
        FROM winners WHERE duplicate_key = ANY($1::uuid[])
        ORDER BY duplicate_key, billing_period, occurred_at
        """,
        list(keys),
    )
    return _group_by_key(rows)


async def frozen_by_key(connection: asyncpg.Connection, keys: Iterable[tuple[UUID, int]]) -> dict[UUID, list[Winner]]:
    """The same for keys given as (key, first open period), of closed periods only."""
    wanted = list(keys)
    rows = await connection.fetch(
        """
        SELECT duplicate_key, action_id, billing_period, own_period, occurred_at, released_from
        FROM unnest($1::uuid[], $2::int[]) AS wanted (duplicate_key, first_open) JOIN winners USING (duplicate_key)
        WHERE billing_period < first_open
        ORDER BY duplicate_key, billing_period, occurred_at
        """,
        [key for key, _ in wanted],
        [first_open for _, first_open in wanted],
    )
    return _group_by_key(rows)


async def write(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Add actions that became winners, and remove those that no longer are."""
    removed: list[Action] = []
    added = []
    for case in cases:
        if case.is_complete:
            continue
        for before, verdict in case.changes:
            was, is_winner = before is not None and before.outcome in WINNING, verdict.outcome in WINNING
            if was and not is_winner:
                removed.append(verdict.action)
            elif is_winner and not was:
                added.append(_winner_row(case, verdict.action))
    await delete(connection, ((action.key, action.id) for action in removed))
    added += await _delete_wrong_winners(connection, [case for case in cases if case.is_complete])
    if added:
        await connection.copy_records_to_table("winners", records=added, columns=_WINNER_COLUMNS)


async def delete(connection: asyncpg.Connection, holders: Iterable[tuple[UUID, UUID]]) -> None:
    """Remove winners given as (duplicate key, action), which are of open periods."""
    if wanted := list(holders):
        await connection.execute(
            "DELETE FROM winners WHERE duplicate_key = ANY($1::uuid[]) AND action_id = ANY($2::uuid[])",
            [key for key, _ in wanted],
            [action_id for _, action_id in wanted],
        )


async def release_keys(connection: asyncpg.Connection, keys: Iterable[UUID], action_id: UUID, period: int) -> None:
    """Free the keys of a returned frozen winner from a billing period on (R11): two if its texts read otherwise now."""
    await connection.execute(
        "UPDATE winners SET released_from = $3 WHERE duplicate_key = ANY($1::uuid[]) AND action_id = $2",
        list(keys),
        action_id,
        period,
    )


async def hold_key_too(connection: asyncpg.Connection, key: UUID, held: UUID, action_id: UUID, first_open: int) -> None:
    """Let the frozen winner of the key `held` hold another one, too, unless another frozen one holds that already.

    One of an open period gives it up, and has to be judged again.
    """
    await connection.execute(
        f"""
        INSERT INTO winners ({", ".join(_WINNER_COLUMNS)})
        SELECT {", ".join("$1" if name == "duplicate_key" else name for name in _WINNER_COLUMNS)}
        FROM winners WHERE duplicate_key = $2 AND action_id = $3
        ON CONFLICT (duplicate_key, slot, released_from) DO UPDATE SET action_id = excluded.action_id,
            billing_period = excluded.billing_period, own_period = excluded.own_period,
            occurred_at = excluded.occurred_at
        WHERE winners.billing_period >= $4
        """,  # noqa: S608 - names of our own columns
        key,
        held,
        action_id,
        first_open,
    )


async def _delete_wrong_winners(connection: asyncpg.Connection, cases: Sequence[Case]) -> list[tuple[object, ...]]:
    """Delete the winners in open periods of customers whose judged winners differ; returns the right rows.

    They are found by the keys of the judged actions: of a complete case there are no others.
    """
    if not cases:
        return []
    # By column, and in the order of most verdicts, because a rebuild reads nearly every action of a month here.
    columns = _WINNER_COLUMNS[2:]
    rows = await connection.fetch(
        f"""
        SELECT partner_id, customer_id, {", ".join(f"array_agg({name})" for name in columns)}
        FROM (
            SELECT partner_id, customer_id, {", ".join(columns)}
            FROM unnest($1::uuid[], $2::int[]) AS judged (duplicate_key, first)
            JOIN winners USING (duplicate_key) WHERE billing_period >= first
            ORDER BY partner_id, customer_id, billing_period, occurred_at
        ) AS ordered GROUP BY partner_id, customer_id
        """,  # noqa: S608 - names of our own columns
        *_judged_keys(cases),
    )
    stored = {(partner_id, customer_id): list(zip(*arrays, strict=True)) for partner_id, customer_id, *arrays in rows}
    right: list[tuple[object, ...]] = []
    wrong = []
    for case in cases:
        judged = [_winner_row(case, v.action) for v in case.verdicts if v.outcome in WINNING]
        found, expected = stored.get(case.customer, []), [row[2:] for row in judged]
        if found != expected and sorted(found) != sorted(expected):
            wrong.append(case)
            right += judged
    if wrong:
        await connection.execute(
            """
            DELETE FROM winners USING unnest($1::uuid[], $2::int[]) AS judged (key, first)
            WHERE duplicate_key = key AND billing_period >= first
            """,
            *_judged_keys(wrong),
        )
    return right


def _judged_keys(cases: Sequence[Case]) -> tuple[list[UUID], list[int]]:
    """The duplicate keys of the judged actions, each with the first open period of its customer."""
    judged = {v.action.key: case.policy.first_open for case in cases for v in case.verdicts}
    return list(judged), list(judged.values())


def _winner_row(case: Case, action: Action) -> tuple[object, ...]:
    window = case.policy.terms.at(action.billing_period).window
    return (
        *case.customer,
        action.key,
        window.bucket(action.occurred_at, action.own_period),
        NEVER_RELEASED,
        action.id,
        action.billing_period,
        action.own_period,
        action.occurred_at,
    )


def _group_by_key(rows: Iterable[asyncpg.Record]) -> dict[UUID, list[Winner]]:
    result: dict[UUID, list[Winner]] = {}
    for row in rows:
        result.setdefault(row["duplicate_key"], []).append(winner_from_row(row))
    return result


def winner_from_row(row: asyncpg.Record) -> Winner:
    """A row of winners as the evaluator knows it."""
    return Winner(
        action_id=row["action_id"],
        key=row["duplicate_key"],
        billing_period=row["billing_period"],
        own_period=row["own_period"],
        occurred_at=row["occurred_at"],
        released_from=row["released_from"],
    )
