"""Rebuilding a report in shares: tasks of their own, which another process takes from the last one to the first."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from billing.errors import BillingError
from db.core.engine import transaction
from db.ledger import rebuild
from db.ledger.rebuild import MOST_DIFFERENCES, CustomerRange
from db.tasks import records
from db.tasks.records import Progress
from worker.runtime import Runtime

REBUILD_SUBTASK = "rebuild_share"
"""The kind of the tasks that a rebuild is divided into."""


class SubtaskFailed(BillingError):
    """A share of a rebuild could not be judged; the sentence is that of its task."""


async def create_subtasks(at: Runtime, arguments: dict[str, Any]) -> list[UUID]:
    """Divide a rebuild, once, and remember the tasks."""
    if "shares" in arguments:
        return [UUID(each) for each in arguments["shares"]]
    partner_id, period = UUID(arguments["partner_id"]), arguments["period"]
    divided = await rebuild.shares(at.engine, at.policies, partner_id, period)
    report = {"partner_id": partner_id, "period": period}
    async with transaction(at.engine) as connection:
        subtask_ids = [
            await records.create(
                connection,
                REBUILD_SUBTASK,
                report | asdict(share),
                arguments["request_id"],
                total=share.customers,
                parent_id=UUID(arguments["task_id"]),
            )
            for share in divided
        ]
        await records.add_arguments(connection, UUID(arguments["task_id"]), {"shares": subtask_ids})
    return subtask_ids


async def judge_range(at: Runtime, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Judge the customers of one share again."""
    until = arguments["until"]
    share = CustomerRange(UUID(arguments["first"]), UUID(until) if until else None, arguments["customers"])
    partner_id, period = UUID(arguments["partner_id"]), arguments["period"]
    return await rebuild.judge(at.engine, at.policies, partner_id, period, share, progress)


async def together(at: Runtime, subtask_ids: list[UUID]) -> dict[str, Any] | None:
    """What came of all shares; None while some are unfinished. If one failed, ends all and raises SubtaskFailed."""
    async with transaction(at.engine) as connection:
        subtasks = await records.read_all(connection, subtask_ids)
        errors = [each.error or "" for each in subtasks if each.state == "failed"]
        if errors:
            await records.fail(connection, subtask_ids, errors[0])
    if errors:
        raise SubtaskFailed(errors[0])
    results = [each.result for each in subtasks if each.result is not None]
    if len(results) < len(subtasks):
        return None
    sums = {name: sum(result[name] for result in results) for name in ("customers", "actions", "verdicts_corrected")}
    differences = [each for result in results for each in result["differences"]]
    return sums | {"differences": differences[:MOST_DIFFERENCES]}


async def tell(at: Runtime, subtask_ids: list[UUID], progress: Progress) -> None:
    """Say how far all shares are together."""
    async with transaction(at.engine, readonly=True) as connection:
        await progress(*await records.progress_of_all(connection, subtask_ids))
