"""What the account does to bills, in their histories (B6, B9): which of them were covered, and which are open again."""

from collections.abc import Iterable
from uuid import UUID

from billing.bills.account import Use
from billing.bills.states import State
from billing.money import amount_from_minor
from db.bills import bill_events, history
from db.core.unit_of_work import UnitOfWork

COVER, UNCOVER = "cover", "uncover"


async def add(
    uow: UnitOfWork,
    uses: Iterable[Use],
    because_of: str,
    *,
    but: UUID | None = None,
    cancelled: UUID | None = None,
) -> None:
    """Add a line to the history of each bill of which more or less is open now, and tell webhooks which are paid.

    `but` names one that has its own line; `cancelled` one that is covered because it is cancelled, and so not paid.
    """
    amounts: dict[UUID, int] = {}
    for use in uses:
        amounts[use.charge] = amounts.get(use.charge, 0) + use.amount_minor
    rows = await uow.connection.fetch(
        "SELECT id, state, digest FROM bills WHERE id = ANY($1::uuid[]) ORDER BY issued_on, id",
        [charge_id for charge_id, amount in amounts.items() if amount and charge_id != but],
    )
    for row in rows:
        state, amount = State(row["state"]), amounts[row["id"]]
        move = COVER if amount > 0 else UNCOVER
        comment = f"{amount_from_minor(abs(amount))}, {because_of}"
        await history.add(uow.connection, row["id"], uow.actor, move, state, state, row["digest"], comment)
        if amount > 0 and row["id"] != cancelled:
            await bill_events.tell_if_paid(uow, row["id"])
