"""Generated requests to every route of the OpenAPI document: no 5xx, and every answer is what the document says."""

import os
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from db.core.settings import Settings
from db.ledger.policies import Policies
from scripts.local.processes.process import Process
from tests.api.world import action, bill, finish_tasks, get, lead, make_masters

EXAMPLES = int(os.environ.get("LEADGER_FUZZ_EXAMPLES", "4"))
"""Of each route; twice as many with --all."""
NOT_CHECKED: list[CheckFunction] = [positive_data_acceptance]  # no schema can say which time zones there are

_app = create_app(Settings(database_url="postgresql://nowhere/none", redis_url="redis://nowhere"))
schema = schemathesis.openapi.from_dict(_app.openapi())
OPERATIONS = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]

_known = {"partner": "acme", "product": "widget", "customer": "anna", "lead_id": "lead-1", "rule_id": "1"}


@schema.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Replace half of the generated ids by ids that exist."""
    if path_parameters:
        return {
            name: _known[name] if name in _known and len(str(value)) % 2 else value
            for name, value in path_parameters.items()
        }
    return path_parameters


@pytest.fixture(scope="module")
async def populated(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, shared_settings: Settings, shared_key: str
) -> str:
    """A world in which every route has something to answer; the key for it."""
    policies = Policies()
    await make_masters(shared_client, cap="15.00")
    await shared_client.post("/api/customers", json={"external_id": "an", "name": "An", "email": "anna@example.com"})
    more = [action("Call"), action("Call", at="2024-04-02T00:00:00Z"), action("Visit", at="2024-05-01T00:00:00Z")]
    status = await bill(
        shared_client, shared_engine, policies, lead("lead-1", action(), *more), lead("q", product_id="?")
    )
    _known["batch_id"] = status["batch_id"]
    _known["action_id"] = (await get(shared_client, "/leads/lead-1"))["actions"][0]["action_id"]
    report = (await get(shared_client, "/billing/reports"))["items"][-1]
    _known["report_id"] = report["report_id"]
    rebuilt = await shared_client.post("/billing/reports/rebuild", json={"partner": "acme", "period": "2024-04"})
    _known["task_id"] = rebuilt.json()["task_id"]
    await finish_tasks(shared_engine, policies, shared_settings)
    return shared_key


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_request_is_answered_with_a_fault(
    operation: APIOperation[Any, Any, Any, Any],
    populated: str,
    shared_server: tuple[str, Process],
    pytestconfig: pytest.Config,
) -> None:
    headers = {"Authorization": f"Bearer {populated}"}

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES * (2 if pytestconfig.getoption("--all") else 1),
        deadline=None,
        derandomize=EXAMPLES < 20,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def fire(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=shared_server[0], headers=headers, excluded_checks=NOT_CHECKED)

    fire()
