"""Permissions: each route answers 401 to nobody, 403 or 404 to who may not, and only then looks at the request."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Literal, NamedTuple
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.permissions import Caller, Permission
from api.pages import dashboard
from billing.roles import Role
from db.access import api_keys
from db.core.actor import Actor, ActorKind
from tests.api.access.walk import AS_WELL, NEEDED, OPEN, Anybody, Route, routes_of
from tests.api.world import Json, lead, make, make_masters, row_counts
from tests.people import new_person, session_headers


class Who(NamedTuple):
    """Who asks: a key with one scope, a person with a role or without one, or somebody who is neither."""

    kind: Literal["key", "person", "nobody"]
    name: str = ""


NOBODY = Who("nobody")
MAY: dict[Who, list[Permission]] = {Who("key", scope): [scope] for scope in Permission} | {
    Who("person", "admin"): [Permission.ADMIN],
    Who("person", "finance"): [Permission.READ, Permission.BILL],
    Who("person", "customer_success"): [Permission.READ],
    Who("person", "sales"): [Permission.READ],
    Who("person", "partner"): [Permission.READ],
    Who("person"): [],
    NOBODY: [],
}
"""What each of them may do; admin is all of it."""
_PERMISSIONS = {Anybody.READERS: Permission.READ}


def refusal_of(who: Who, route: Route) -> tuple[int, str] | None:
    """How a route answers somebody who may not ask it, as the contract has it; None if they may."""
    needed = NEEDED[route.name]
    if needed is Anybody.PUBLIC:
        return None
    if needed is Anybody.SIGNED:
        return 401, "The signature in X-Hub-Signature-256 is missing"
    if who == NOBODY:
        return 401, "A valid API key is needed"
    if needed in (Anybody.PEOPLE, Anybody.READERS) and who.kind == "key":
        return 403, "This is for people who have signed in, and not for keys."
    if needed is Anybody.PEOPLE:
        return None
    if needed is Anybody.ONESELF and who.kind == "person":
        return None if who.name == "admin" else (404, "There is no person ")
    permission = _PERMISSIONS.get(needed, Permission.ADMIN) if isinstance(needed, Anybody) else needed
    if not {permission, Permission.ADMIN, AS_WELL.get(route.name)} & set(MAY[who]):
        return 403, f"{_what_it_has(who)}; {permission.value!r} is needed here."
    if who.name == "partner" and route.name not in OPEN:
        return 403, "You are bound to a partner; this is open only to people who are not."
    return None


def _what_it_has(who: Who) -> str:
    named = ", ".join(MAY[who])
    if who.kind == "key":
        return f"This key has the scopes {named}"
    if not who.name:
        return "You have no role yet, and an Admin gives you one"
    return f"With the role {who.name} you have the permissions {named}"


@pytest.fixture
async def clients(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine
) -> AsyncIterator[dict[Who, httpx.AsyncClient]]:
    """A client for everybody: with a key of each scope, of a person with each role, and one without either."""
    await make(client, "partners", external_id="walked", name="Walked")
    headers: dict[Who, dict[str, str]] = {}
    for who in MAY:
        headers[who] = {}
        if who.kind == "key":
            made = await make(client, "keys", name=who.name, scopes=[who.name])
            headers[who] = {"Authorization": f"Bearer {made['key']}"}
        elif who.kind == "person":
            role = Role(who.name) if who.name else None
            person = await new_person(engine, who.name or "none", role, "walked" if role is Role.PARTNER else None)
            headers[who] = await session_headers(engine, person)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with AsyncExitStack() as stack:
        yield {
            who: await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=each)
            )
            for who, each in headers.items()
        }


async def test_every_route_is_in_the_table(app: FastAPI) -> None:
    names = [str(each.name) for each in iter_route_contexts(app.routes)]
    assert sorted(names) == sorted(NEEDED)


async def test_every_route_checks_who_calls_first(
    app: FastAPI, clients: dict[Who, httpx.AsyncClient], engine: AsyncEngine
) -> None:
    before = await row_counts(engine)
    wrong = []
    for route in routes_of(app):
        for who, client in clients.items():
            expected = refusal_of(who, route)
            if expected is None:
                continue
            for response in (await route.send(client), await route.send_invalid(client)):
                status, detail = expected
                document = _document(response)
                if response.status_code != status or not document.get("detail", "").startswith(detail):
                    wrong.append((route, who, response.request.url, response.status_code, response.text))
    assert wrong == []
    assert await row_counts(engine) == before


async def test_every_route_answers_callers_who_may_ask(
    app: FastAPI, clients: dict[Who, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "STREAM_S", 0.1)
    wrong = []
    for route in sorted(routes_of(app), key=lambda route: route.name == "sign_out"):
        for who, client in clients.items():
            if refusal_of(who, route):
                continue
            response = await route.send(client)
            if response.status_code in (401, 403) or response.status_code >= 500:
                wrong.append((route, who, response.status_code, response.text))
    assert wrong == []


def _document(response: httpx.Response) -> Json:
    is_problem = response.headers.get("content-type", "").startswith("application/problem+json")
    document: Json = response.json() if is_problem and response.content else {}
    return document


async def test_a_dry_run_needs_read_too(
    clients: dict[Who, httpx.AsyncClient], client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """Failed before: `ingest` alone was told the name, the e-mail, the cap and the verdicts of whomever it named."""
    both = await make(client, "keys", name="both", scopes=["ingest", "read"])
    before = await row_counts(engine)
    for sent in (lead("1", customer_id="anna"), lead("1", customer_id=""), "no lead"):
        refused = await clients[Who("key", "ingest")].post("/leads?dry_run=true", json=sent)
        assert _refusal(refused) == (403, "This key has the scopes ingest; 'read' is needed here.")
        refused = await clients[Who("key", "read")].post("/leads?dry_run=true", json=sent)
        assert _refusal(refused) == (403, "This key has the scopes read; 'ingest' is needed here.")
    headers = {"Authorization": f"Bearer {both['key']}"}
    answered = await client.post("/leads?dry_run=true", json=lead("1"), headers=headers)
    assert (answered.status_code, answered.json()["dry_run"]) == (200, True)
    assert await row_counts(engine) == before


async def test_pricing_sets_prices_and_terms_and_nothing_else(
    clients: dict[Who, httpx.AsyncClient], client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await make_masters(client)
    pricing = clients[Who("key", "pricing")]
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
    return response.status_code, _document(response).get("detail", "")


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
