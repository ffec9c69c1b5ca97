"""Hold, release and return of single actions (R10, R11)."""

from uuid import UUID

import asyncpg

from billing.actions import WINNING, HoldStatus, Outcome
from billing.errors import RuleViolation
from billing.periods import name_of_period
from billing.policy import Policy
from db.core import locks
from db.ledger import reevaluation
from db.ledger.closing import add_credit
from db.ledger.policies import Policies


async def hold(connection: asyncpg.Connection, policies: Policies, action_id: UUID, reason: str) -> None:
    """Set an action aside: it neither holds its key nor uses the cap until it is released."""
    row, policy = await _locked(connection, policies, action_id)
    if not policy.is_open(row["billing_period"]):
        raise RuleViolation(f"{name_of_period(row['billing_period'])} is closed; its verdicts never change.")
    if row["standing"] == HoldStatus.RETURNED:
        raise RuleViolation("The action was returned; it cannot be held any more.")
    await _stand(connection, policies, row, HoldStatus.HELD, reason)


async def release(connection: asyncpg.Connection, policies: Policies, action_id: UUID, reason: str) -> None:
    """Let a held action count again."""
    row, _ = await _locked(connection, policies, action_id)
    if row["standing"] != HoldStatus.HELD:
        raise RuleViolation("The action is not held.")
    await _stand(connection, policies, row, HoldStatus.COUNTED, reason)


async def return_action(connection: asyncpg.Connection, policies: Policies, action_id: UUID, reason: str) -> None:
    """Return an action: in an open period it is no longer billed; a frozen one gets one credit of what was billed."""
    row, policy = await _locked(connection, policies, action_id)
    if row["standing"] == HoldStatus.RETURNED:
        return
    if policy.is_open(row["billing_period"]):
        await _stand(connection, policies, row, HoldStatus.RETURNED, reason)
        return
    booked = await connection.fetchval(
        """
        INSERT INTO credits (action_id, partner_id, customer_id, product_id, period, amount_minor, reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING period
        """,
        row["id"],
        row["partner_id"],
        row["customer_id"],
        row["product_id"],
        policy.first_open,
        row["billed_minor"],
        reason,
    )
    if booked is None:
        return
    await add_credit(
        connection, row["partner_id"], row["customer_id"], row["product_id"], policy.first_open, row["billed_minor"]
    )
    if Outcome(row["outcome"]) in WINNING:
        await connection.execute(
            "UPDATE winners SET released_from = $3 WHERE duplicate_key = $1 AND action_id = $2",
            row["duplicate_key"],
            row["id"],
            policy.first_open,
        )
    await reevaluation.rejudge(connection, policies, row["partner_id"], [row["customer_id"]])


async def _locked(connection: asyncpg.Connection, policies: Policies, action_id: UUID) -> tuple[asyncpg.Record, Policy]:
    """The action and its partner's policy, under the locks that let its customer's verdicts change.

    Raises LookupError if there is no such action.
    """
    owner = await connection.fetchrow("SELECT partner_id, customer_id FROM actions WHERE id = $1", action_id)
    if owner is None:
        raise LookupError(action_id)
    await locks.lock_partners_shared(connection, [owner["partner_id"]])
    await locks.lock_customers(connection, [(owner["partner_id"], owner["customer_id"])])
    in_force = await policies.load(connection, [owner["partner_id"]])
    row = await connection.fetchrow("SELECT * FROM actions WHERE id = $1", action_id)
    assert row is not None
    return row, in_force[owner["partner_id"]]


async def _stand(
    connection: asyncpg.Connection, policies: Policies, row: asyncpg.Record, hold_status: HoldStatus, reason: str
) -> None:
    if row["standing"] == hold_status:
        return
    await connection.execute(
        "UPDATE actions SET standing = $2, standing_reason = $3 WHERE id = $1", row["id"], hold_status, reason
    )
    await reevaluation.rejudge(connection, policies, row["partner_id"], [row["customer_id"]])
