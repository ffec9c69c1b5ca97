"""Permissions: each route answers 401 without a key, 403 without the permission, and only then looks at the request."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.permissions import Caller, Permission
from db.access import api_keys
from db.core.actor import Actor, ActorKind
from tests.api.world import Json, lead, make, make_masters, row_counts

PUBLIC = None
NEEDED: dict[str, Permission | None] = {
    "openapi": PUBLIC,
    "docs": PUBLIC,
    "docs-assets": PUBLIC,
    "live": PUBLIC,
    "ready": PUBLIC,
    "prometheus": Permission.METRICS,
    "post_leads": Permission.INGEST,
    "list_batches": Permission.READ,
    "list_batch_problems": Permission.READ,
    "list_possible_corrections": Permission.READ,
    "get_batch": Permission.READ,
    "list_leads": Permission.READ,
    "get_lead": Permission.READ,
    "list_reports": Permission.READ,
    "rebuild_report": Permission.BILL,
    "get_report": Permission.READ,
    "list_report_customers": Permission.READ,
    "list_report_versions": Permission.READ,
    "close_periods": Permission.BILL,
    "get_period": Permission.READ,
    "close_period": Permission.BILL,
    "reopen_period": Permission.BILL,
    "list_periods": Permission.READ,
    "create_partner": Permission.ADMIN,
    "list_partners": Permission.READ,
    "list_terms": Permission.READ,
    "get_partner": Permission.READ,
    "change_partner": Permission.PRICING,
    "create_product": Permission.ADMIN,
    "list_products": Permission.READ,
    "get_product": Permission.READ,
    "change_product": Permission.ADMIN,
    "create_customer": Permission.ADMIN,
    "list_customers": Permission.READ,
    "get_customer": Permission.READ,
    "change_customer": Permission.ADMIN,
    "erase_customer": Permission.ADMIN,
    "create_rate": Permission.PRICING,
    "change_rate": Permission.PRICING,
    "end_rate": Permission.PRICING,
    "list_rates": Permission.READ,
    "get_rate": Permission.READ,
    "get_action": Permission.READ,
    "hold_action": Permission.BILL,
    "release_action": Permission.BILL,
    "return_action": Permission.BILL,
    "correct_action": Permission.BILL,
    "list_tasks": Permission.READ,
    "get_task": Permission.READ,
    "list_quarantine": Permission.READ,
    "retry_quarantine": Permission.ADMIN,
    "discard_quarantined": Permission.ADMIN,
    "list_dead_letters": Permission.READ,
    "retry_dead_letters": Permission.ADMIN,
    "get_workers": Permission.READ,
    "pause_workers": Permission.ADMIN,
    "resume_workers": Permission.ADMIN,
    "list_stuck": Permission.READ,
    "retry_stuck": Permission.ADMIN,
    "create_key": Permission.ADMIN,
    "list_keys": Permission.ADMIN,
    "rotate_key": Permission.ADMIN,
    "revoke_key": Permission.ADMIN,
    "list_audit": Permission.ADMIN,
}
"""What each route needs, by the name of its function."""


class Route(NamedTuple):
    """A route and one of its methods."""

    name: str
    method: str
    path: str

    async def send(self, client: httpx.AsyncClient) -> httpx.Response:
        """A request whose path is valid; its body is empty."""
        return await client.request(self.method, self._path(), json={} if self.method in ("POST", "PATCH") else None)

    async def send_invalid(self, client: httpx.AsyncClient) -> httpx.Response:
        """A request whose path, query and body are all invalid."""
        path = re.sub(r"{[^}]+}", "x", self.path)
        return await client.request(self.method, path, params={"unknown": "x"}, content=b"{")

    def _path(self) -> str:
        if self.name == "docs-assets":
            return f"{self.path}/swagger-ui.css"
        path = self.path.replace("{period}", "2024-04").replace("{rule_id}", "1")
        return re.sub(r"{[^}]+}", lambda _: str(uuid4()), path)


def routes_of(app: FastAPI) -> list[Route]:
    """Every route of the app with each of its methods, also those that the API's description leaves out."""
    return [
        Route(str(each.name), method, str(each.path))
        for each in iter_route_contexts(app.routes)
        for method in sorted(each.methods or {"GET"})
    ]


@pytest.fixture
async def clients(app: FastAPI, client: httpx.AsyncClient) -> AsyncIterator[dict[Permission | None, httpx.AsyncClient]]:
    """A client for each permission, with a key that has no other, and one without a key."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with AsyncExitStack() as stack:
        clients: dict[Permission | None, httpx.AsyncClient] = {}
        for permission in (None, *Permission):
            headers = {}
            if permission:
                made = await make(client, "keys", name=permission, scopes=[permission])
                headers["Authorization"] = f"Bearer {made['key']}"
            opened = httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers)
            clients[permission] = await stack.enter_async_context(opened)
        yield clients


async def test_every_route_is_in_the_table(app: FastAPI) -> None:
    names = [str(each.name) for each in iter_route_contexts(app.routes)]
    assert sorted(names) == sorted(NEEDED)


async def test_every_route_checks_the_permission_first(
    app: FastAPI, clients: dict[Permission | None, httpx.AsyncClient], engine: AsyncEngine
) -> None:
    before = await row_counts(engine)
    wrong = []
    for route in routes_of(app):
        needed = NEEDED[route.name]
        for permission, client in clients.items():
            if needed is PUBLIC or permission in (needed, Permission.ADMIN):
                continue
            for response in (await route.send(client), await route.send_invalid(client)):
                if _refusal(response) != _expected_refusal(permission, needed):
                    wrong.append((route, permission, response.request.url, response.status_code, response.text))
    assert wrong == []
    assert await row_counts(engine) == before


async def test_every_route_answers_callers_with_the_permission(
    app: FastAPI, clients: dict[Permission | None, httpx.AsyncClient]
) -> None:
    wrong = []
    for route in routes_of(app):
        needed = NEEDED[route.name]
        for permission, client in clients.items():
            if needed is not PUBLIC and permission not in (needed, Permission.ADMIN):
                continue
            response = await route.send(client)
            if response.status_code in (401, 403) or response.status_code >= 500:
                wrong.append((route, permission, response.status_code, response.text))
    assert wrong == []


async def test_a_dry_run_needs_read_too(
    clients: dict[Permission | None, httpx.AsyncClient], client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """Failed before: `ingest` alone was told the name, the e-mail, the cap and the verdicts of whomever it named."""
    both = await make(client, "keys", name="both", scopes=["ingest", "read"])
    before = await row_counts(engine)
    for sent in (lead("1", customer_id="anna"), lead("1", customer_id=""), "no lead"):
        refused = await clients[Permission.INGEST].post("/leads?dry_run=true", json=sent)
        assert _refusal(refused) == (403, "This key has the scopes ingest; 'read' is needed here.")
        refused = await clients[Permission.READ].post("/leads?dry_run=true", json=sent)
        assert _refusal(refused) == (403, "This key has the scopes read; 'ingest' is needed here.")
    headers = {"Authorization": f"Bearer {both['key']}"}
    answered = await client.post("/leads?dry_run=true", json=lead("1"), headers=headers)
    assert (answered.status_code, answered.json()["dry_run"]) == (200, True)
    assert await row_counts(engine) == before


async def test_pricing_sets_prices_and_terms_and_nothing_else(
    clients: dict[Permission | None, httpx.AsyncClient], client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await make_masters(client)
    pricing = clients[Permission.PRICING]
    rule = await pricing.post("/api/rate-cards", json={"partner": "acme", "action_type": "Demo", "amount": "3.00"})
    assert rule.status_code == 201
    rule_id = rule.json()["rule_id"]
    changed = await pricing.patch(f"/api/rate-cards/{rule_id}", json={"amount": "4.00"})
    assert (changed.status_code, changed.json()["amount"]) == (200, "4.00")
    assert (await pricing.delete(f"/api/rate-cards/{changed.json()['rule_id']}")).status_code == 200
    terms = await pricing.patch("/api/partners/acme", json={"cap": "7.00"})
    assert (terms.status_code, terms.json()["cap"]) == (200, "7.00")
    before = await row_counts(engine)
    for method, path, body in (
        ("POST", "/api/partners", {"external_id": "x", "name": "X"}),
        ("PATCH", "/api/products/widget", {"name": "X"}),
        ("POST", "/api/keys", {"name": "x", "scopes": ["admin"]}),
        ("POST", "/api/partners/acme/periods/2024-04/close", None),
        ("GET", "/api/rate-cards", None),
    ):
        assert (await pricing.request(method, path, json=body)).status_code == 403, path
    assert await row_counts(engine) == before


def _refusal(response: httpx.Response) -> tuple[int, str]:
    document: Json = response.json() if response.status_code in (401, 403) and response.content else {}
    return response.status_code, document.get("detail", "")


def _expected_refusal(permission: Permission | None, needed: Permission) -> tuple[int, str]:
    if permission is None:
        return 401, (
            'A valid API key is needed: send "Authorization: Bearer <key>". '
            "Make one with `leadger keys create`; `scripts/run` prints a development key."
        )
    return 403, f"This key has the scopes {permission}; {str(needed)!r} is needed here."


ACME, OTHER = UUID(int=1), UUID(int=2)
ACTOR = Actor(ActorKind.KEY, UUID(int=3), "tests")


@pytest.mark.parametrize(
    ("permission", "bound_to", "needed", "partner", "expected"),
    [
        (Permission.READ, None, Permission.READ, None, True),
        (Permission.READ, None, Permission.READ, ACME, True),
        (Permission.READ, None, Permission.BILL, None, False),
        (Permission.READ, ACME, Permission.READ, None, False),
        (Permission.READ, ACME, Permission.READ, ACME, True),
        (Permission.READ, ACME, Permission.READ, OTHER, False),
        (Permission.READ, ACME, Permission.BILL, ACME, False),
        (Permission.ADMIN, None, Permission.BILL, ACME, True),
        (Permission.ADMIN, ACME, Permission.BILL, ACME, True),
        (Permission.ADMIN, ACME, Permission.BILL, OTHER, False),
    ],
)
def test_a_caller_may_what_its_permissions_and_its_partner_allow(
    permission: Permission, bound_to: UUID | None, needed: Permission, partner: UUID | None, expected: bool
) -> None:
    assert Caller(ACTOR, (permission,), bound_to).may(needed, partner) is expected


def test_the_scopes_of_keys_are_the_permissions() -> None:
    assert tuple(Permission) == api_keys.SCOPES
