"""Telling GitHub how a run ended that a push or a workflow of it started, as a status of the commit."""

from typing import Any
from uuid import UUID

import httpx

from billing.errors import RuleViolation
from billing.runs import Outcome
from db.core.engine import transaction
from db.runs import records
from worker.runner import Attempt

_TIMEOUT_S = 20.0
_MOST_ATTEMPTS = 20


async def report_to_github(attempt: Attempt) -> dict[str, Any]:
    """Set the status `leadger/billing` of the commit; without GITHUB_API_TOKEN nothing is told."""
    settings, run_id = attempt.runtime.settings, UUID(attempt.task.arguments["run_id"])
    async with transaction(attempt.runtime.engine, readonly=True) as connection:
        run = await records.read(connection, run_id)
        figures = (await records.figures(connection, [run_id]))[run_id]
    assert run is not None
    if not settings.github_api_token:
        return {"told": False}
    failed, done = figures.ended[Outcome.FAILED], "tried" if run.asked.dry_run else "billed"
    status = {
        "state": "failure" if failed or run.error else "success",
        "context": "leadger/billing",
        "description": f"{figures.processed} months of partners {done}, {failed} failed",
        "target_url": f"{settings.api_base_url}/api/billing-scheduler/status?run={run_id}",
    }
    url = f"{settings.github_api_url}/repos/{settings.github_repository}/statuses/{run.asked.commit}"
    headers = {"Authorization": f"Bearer {settings.github_api_token}", "Accept": "application/vnd.github+json"}
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
            answer = await client.post(url, json=status, headers=headers)
    except httpx.TransportError as error:
        raise _unavailable(attempt, type(error).__name__) from error
    if answer.status_code >= 500:
        raise _unavailable(attempt, str(answer.status_code))
    if answer.is_error:
        raise RuleViolation(f"GitHub refused the status of the commit: {answer.status_code}.")
    return {"told": True}


def _unavailable(attempt: Attempt, what: str) -> Exception:
    """GitHub is away: another attempt follows, but not for ever."""
    if attempt.task.attempts >= _MOST_ATTEMPTS:
        return RuleViolation(f"GitHub could not be told how the run ended: {what}.")
    return ConnectionError(f"GitHub is away: {what}")
