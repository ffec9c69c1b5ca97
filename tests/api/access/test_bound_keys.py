"""Keys that are bound to a partner: they see and do nothing else, and what is another's is as what does not exist."""

import json
import re
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.paging import cursor_from_place
from billing.roles import Role
from db.access import api_keys
from db.core.engine import transaction
from db.core.row_keys import customer_uuid
from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.access.walk import ASKED, NAME_NOBODY, NEEDED, OPEN, OPEN_FORMS, Anybody, Route, queries_of, routes_of
from tests.api.world import (
    Json,
    bill,
    check_problem,
    decide,
    finish_tasks,
    get,
    lead,
    make,
    make_masters,
    row_counts,
)
from tests.bills import issued_bill
from tests.people import new_person, session_headers

SCOPES = ("bill", "ingest", "pricing", "read")
FILTERS = {"partner": "partner", "customer": "customer", "product": "product", "lead_id": "lead_id"}
SOUGHT = ("partner", "customer", "product", "lead_id", "action_id", "batch_id", "bill_id", "task_id")
MORE = {
    "get_report": ("?format=csv", "?format=csv&totals=true", "?format=md", "?version=1", "?version=1&format=csv"),
    "change_rate": ("?dry_run=true",),
    "end_rate": ("?dry_run=true",),
}
"""Other ways to ask a route for the same."""


@dataclass(frozen=True, slots=True)
class Side:
    """What belongs to one partner: a value for each parameter of a path."""

    ids: dict[str, str]

    def fill(self, text: str) -> str:
        """A path or a body with the ids of this side."""
        return re.sub(r"{(\w+)(?::path)?}", lambda found: self.ids[found[1]], text)


@dataclass(frozen=True, slots=True)
class Sides:
    """The partner of the key and another one, with as much on record."""

    own: Side
    foreign: Side


@pytest.fixture
async def bound(app: FastAPI, client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key is bound to acme; beside it there is a partner rival with a product gadget."""
    await make_masters(client)
    await make(client, "partners", external_id="rival", name="Rival")
    await make(client, "products", external_id="gadget", partner="rival", name="Gadget")
    await make(client, "customers", external_id="zelda", name="Zelda", email="zelda@rival.example")
    for partner in ("acme", "rival"):
        await make(client, "rate-cards", partner=partner, action_type="Demo", amount="9.00")
    made = await make(client, "keys", name="bound", scopes=list(SCOPES), partner="acme")
    assert made["partner"] == "acme"
    headers = {"Authorization": f"Bearer {made['key']}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as opened:
        yield opened


@pytest.fixture
async def person(app: FastAPI, bound: httpx.AsyncClient, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a person of acme, whose partner is there since `bound` is."""
    found = await new_person(engine, "pat", Role.PARTNER, "acme")
    headers = await session_headers(engine, found)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as opened:
        yield opened


@pytest.fixture
async def sides(
    bound: httpx.AsyncClient, client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, settings: Settings
) -> Sides:
    """Of each partner a billed lead, one in quarantine, a written report, a rebuilt one, a rule and an issued bill."""
    own, foreign = [
        await _side(client, engine, policies, settings, partner, product, customer)
        for partner, product, customer in (("acme", "widget", "own-id"), ("rival", "gadget", "zelda"))
    ]
    await finish_tasks(engine, policies, settings)
    return Sides(own, foreign)


async def _side(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    policies: Policies,
    settings: Settings,
    partner: str,
    product: str,
    customer: str,
) -> Side:
    name = f"{partner}-lead"
    sent = lead(
        name, product_id=product, customer_id=customer, customer={"name": "Zelda", "email": "zelda@rival.example"}
    )
    batch = await bill(client, engine, policies, sent)
    await bill(client, engine, policies, lead(f"{partner}-unknown", product_id=product, customer_id=f"{partner}-who"))
    found = await get(client, f"/leads/{name}")
    rebuilt = await client.post("/billing/reports/rebuild", json={"partner": partner, "period": "2024-04"})
    compared = await client.post(
        f"/api/reconciliations?partner={partner}&period=2024-04",
        content="lead_id,amount\nnobody's,1.00\n",
        headers={"Content-Type": "text/csv"},
    )
    rates = (await get(client, "/api/rate-cards", partner=partner))["items"]
    return Side(
        {
            "partner": partner,
            "product": product,
            "customer": customer,
            "lead_id": name,
            "batch_id": batch["batch_id"],
            "action_id": found["actions"][0]["action_id"],
            "report_id": (await get(client, "/billing/reports", partner=partner))["items"][0]["report_id"],
            "task_id": rebuilt.json()["task_id"],
            "reconciliation_id": compared.json()["task_id"],
            "rule_id": str(next(each["rule_id"] for each in rates if each["partner"] == partner)),
            "period": "2024-04",
            "bill_id": str(await issued_bill(engine, partner, settings)),
            "kind": "json",
        }
    )


async def test_every_other_route_refuses_bound_keys(
    app: FastAPI, bound: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    before = await row_counts(engine)
    wrong, refused = [], set()
    for route in routes_of(app):
        needed = NEEDED[route.name]
        if isinstance(needed, Anybody) or route.name in OPEN:
            continue
        detail = f"This key has the scopes {', '.join(SCOPES)}; {str(needed)!r} is needed here."
        if needed in SCOPES:
            detail = "This key is bound to a partner; this is open only to keys that are not."
            refused.add(route.name)
        for response in (await route.send(bound), await route.send_invalid(bound)):
            if (response.status_code, response.json().get("detail")) != (403, detail):
                wrong.append((route, response.status_code, response.text))
    assert wrong == []
    assert refused == {name for name, needed in NEEDED.items() if needed in SCOPES and name not in OPEN}
    assert {"get_seller", "list_customers", "get_customer", "make_bill", "move_bills"} <= refused
    assert await row_counts(engine) == before


async def test_every_open_route_keeps_to_the_partner_of_the_caller(
    app: FastAPI, bound: httpx.AsyncClient, person: httpx.AsyncClient, sides: Sides, engine: AsyncEngine
) -> None:
    """What names another partner's is 404 (a lead for its product 400), shows nothing of it and writes nothing.

    A person of a partner only reads; what changes something is refused, as test_permissions.py has it.
    """
    routes = [route for route in routes_of(app) if route.name in OPEN]
    assert {route.name for route in routes} == set(OPEN)
    before = await row_counts(engine)
    wrong = []
    for route in routes:
        for path, expected in _foreign_requests(app, route):
            body = json.loads(sides.foreign.fill(json.dumps(OPEN[route.name])))
            for caller in (bound, person) if _is_for_people(route) else (bound,):
                response = await _send(caller, route, sides.foreign.fill(path), body)
                if response.status_code != expected or _tells(response, sides.foreign, path):
                    wrong.append((route, path, response.status_code, response.text))
    assert wrong == []
    assert await row_counts(engine) == before
    for route in sorted(routes, key=lambda route: (route.method != "GET", route.name)):
        body = json.loads(sides.own.fill(json.dumps(OPEN[route.name])))
        for caller in (bound, person) if _is_for_people(route) else (bound,):
            path = sides.own.fill(route.path + ASKED.get(route.name, ""))
            response = await _send(caller, route, path, body)
            right = (200,) if route.method == "GET" else (303,) if route.name in OPEN_FORMS else (200, 201, 202, 409)
            if response.status_code not in right or _tells(response, sides.foreign, ""):
                wrong.append((route, route.path, response.status_code, response.text))
    assert wrong == []


def _is_for_people(route: Route) -> bool:
    return route.method == "GET" or route.name in OPEN_FORMS


async def _send(caller: httpx.AsyncClient, route: Route, path: str, body: Any) -> httpx.Response:
    if route.name in OPEN_FORMS:
        files = {"file": ("list.csv", body["file"])} if "file" in body else None
        return await caller.post(path, data=body, files=files)
    if isinstance(body, str):
        return await caller.request(route.method, path, content=body, headers={"Content-Type": "text/csv"})
    return await caller.request(route.method, path, json=body)


def _foreign_requests(app: FastAPI, route: Route) -> list[tuple[str, int]]:
    """Paths by which a route is asked for what is another partner's, each with the status of the answer."""
    if route.name in NAME_NOBODY:
        return []
    if "{" in route.path:
        return [(route.path + query, 404) for query in ("", *MORE.get(route.name, ()))]
    if route.method != "GET":
        return (
            [(route.path, 400), (f"{route.path}?dry_run=true", 400)]
            if route.name == "post_leads"
            else [(route.path + ASKED.get(route.name, ""), 404)]
        )
    known = queries_of(app)[route.name]
    asked = [
        (f"{route.path}?{name}={{{kind}}}", 200 if name == "lead_id" else 404)
        for name, kind in FILTERS.items()
        if name in known
    ]
    if route.name == "search":
        asked = [(f"{route.path}?q={{{kind}}}", 200) for kind in SOUGHT]
    return [(route.path, 200), *asked]


def _tells(response: httpx.Response, foreign: Side, path: str) -> bool:
    """Whether an answer tells of the other partner what its request did not name, or any name of a person."""
    document = response.json() if "json" in response.headers.get("content-type", "") else {}
    text = response.text.replace(document.get("instance", ""), "") if response.status_code >= 400 else response.text
    for name in re.findall(r"{(\w+)(?::path)?}", path):  # a page shows what was typed
        text = text.replace(foreign.ids[name], "")
    hidden = {"rival", "gadget", "zelda", str(customer_uuid("zelda")), *foreign.ids.values()} - {
        "2024-04",
        "json",
        foreign.ids["rule_id"],
    }
    if response.status_code >= 400:  # the detail says what was asked for
        hidden = {"zelda@", "Zelda"}
    return any(word in text for word in hidden | {"anna@example.com", '"Anna"'})


async def test_what_is_another_partners_is_as_what_does_not_exist(bound: httpx.AsyncClient) -> None:
    for path, kind, own, foreign in (
        ("/api/partners/{}", "partner", "acme", "rival"),
        ("/api/partners/{}/terms", "partner", "acme", "rival"),
        ("/api/products/{}", "product", "widget", "gadget"),
        ("/api/partners?partner={}", "partner", "acme", "rival"),
        ("/api/products?product={}", "product", "widget", "gadget"),
        ("/api/rate-cards?partner={}", "partner", "acme", "rival"),
    ):
        assert (await bound.get(path.format(own))).status_code == 200, path
        for unseen in (foreign, "nobody"):
            document = check_problem(await bound.get(path.format(unseen)), 404)
            assert document["detail"] == f"There is no {kind} {unseen!r}."
    assert [each["external_id"] for each in (await get(bound, "/api/partners"))["items"]] == ["acme"]
    assert [each["external_id"] for each in (await get(bound, "/api/products"))["items"]] == ["widget"]
    rates = (await get(bound, "/api/rate-cards"))["items"]
    assert {each["partner"] for each in rates} == {None, "acme"}


async def test_a_bound_key_sends_leads_for_its_products_only(
    bound: httpx.AsyncClient, client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    before = await row_counts(engine)
    for unseen in ("gadget", "nothing"):
        for query in ("", "?partial=true", "?dry_run=true"):
            sent = [lead("1"), lead("2", product_id=unseen)]
            document = check_problem(await bound.post(f"/leads{query}", json=sent), 400)
            assert document["detail"] == (
                f"Nothing was accepted: no product {unseen!r} is known to the partner of this key."
            )
            assert document["errors"] == [{"pointer": "#", "detail": f"names the unknown product {unseen!r}"}]
    sent = [lead(f"{number}", product_id=f"unseen-{number:03d}") for number in range(150)]
    document = check_problem(await bound.post("/leads", json=sent), 400)
    assert document["detail"].endswith("and 149 more.")
    assert [error["detail"] for error in document["errors"]] == [
        f"names the unknown product 'unseen-{number:03d}'" for number in range(150)
    ], "the first 100 were named without a word about the others"
    assert await row_counts(engine) == before
    accepted = await bound.post("/leads", json=[lead("1")])
    assert accepted.status_code == 202
    await decide(engine, policies)
    assert (await get(client, "/leads/1"))["state"] == "done"


async def test_a_bound_key_stays_bound(
    app: FastAPI, bound: httpx.AsyncClient, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    listed = next(each for each in (await get(client, "/api/keys"))["items"] if each["name"] == "bound")
    assert listed["partner"] == "acme"
    rotated = (await client.post(f"/api/keys/{listed['key_id']}/rotate", json={})).json()
    headers = {"Authorization": f"Bearer {rotated['key']}"}
    check_problem(await client.get("/api/partners/rival", headers=headers), 404)
    assert (await client.get("/api/partners/acme", headers=headers)).status_code == 200
    async with transaction(engine, readonly=True) as connection:
        # A release that knows no bound keys looks for the plain hash, and must not take it for a key of all partners.
        plain = sha256(rotated["key"].encode()).digest()
        assert await connection.fetchval("SELECT count(*) FROM api_keys WHERE key_hash = $1", plain) == 0
        found = await api_keys.find_valid(connection, rotated["key"])
    assert found is not None
    assert (str(found.id), found.partner) == (rotated["key_id"], "acme")


@pytest.mark.parametrize("scope", ["metrics", "admin"])
async def test_a_bound_key_has_no_scope_for_the_installation(
    client: httpx.AsyncClient, engine: AsyncEngine, scope: str
) -> None:
    await make_masters(client)
    before = await row_counts(engine)
    asked: Json = {"name": "x", "scopes": ["read", scope], "partner": "acme"}
    document = check_problem(await client.post("/api/keys", json=asked), 409)
    assert document["detail"] == "A key that is bound to a partner has no scopes but ingest, read, bill and pricing."
    check_problem(await client.post("/api/keys", json={"name": "x", "scopes": ["read"], "partner": "nobody"}), 404)
    assert await row_counts(engine) == before


async def test_a_bound_key_sees_lead_users_by_their_ids_only(
    bound: httpx.AsyncClient, client: httpx.AsyncClient, sides: Sides
) -> None:
    report = f"/billing/reports/{sides.own.ids['report_id']}"
    paths = ["/leads/acme-lead", "/leads", "/billing/reports", report, f"{report}/customers"]
    for path in paths:
        assert '"external_id":"own-id"' in (await bound.get(path)).text
        assert '"email":"zelda@rival.example"' in (await client.get(path)).text, path
    for path in [*paths, f"{report}?format=csv", f"{report}?format=csv&totals=true", f"{report}?format=md"]:
        seen = await bound.get(path)
        assert seen.status_code == 200
        assert "zelda@" not in seen.text, path
        assert "Zelda" not in seen.text, path
        assert "own-id" in seen.text
    cells = (await bound.get(f"{report}?format=csv")).text.splitlines()[1].split(",")
    assert cells[:5] == ["action", "own-id", "own-id", "", "Widget"]
    for kind in ("csv", "md"):
        assert "zelda@" in (await client.get(f"{report}?format={kind}&version=1")).text
        check_problem(await bound.get(f"{report}?format={kind}&version=1"), 404)
    assert (await get(bound, report, version=1))["files"] == []


async def test_a_dry_run_of_a_bound_key_tells_nothing_of_others(
    bound: httpx.AsyncClient, client: httpx.AsyncClient, sides: Sides, engine: AsyncEngine
) -> None:
    before = await row_counts(engine)
    sent = [
        lead("new", customer_id="own-id"),
        lead("rival-lead"),
        lead("described", customer_id="mine", customer={"name": "Me", "email": "zelda@rival.example"}),
    ]
    answer = await bound.post("/leads?dry_run=true", json=sent)
    assert answer.status_code == 200, answer.text
    new, taken, described = answer.json()["leads"]
    assert (new["state"], new["customer"], new["actions"][0]["outcome"]) == (
        "done",
        {"external_id": "own-id"},
        "duplicate",
    )
    assert taken["problem"] == {
        "reason": "conflict",
        "detail": "A lead with this id is known and says something else; the first one stands.",
    }
    assert described["customer"] == {"external_id": "mine"}
    for word in ("zelda", "Zelda", "gadget", "Anna"):
        assert word not in answer.text
    assert await row_counts(engine) == before


async def test_a_bound_key_sees_no_names_of_other_callers(bound: httpx.AsyncClient, sides: Sides) -> None:
    rate = await get(bound, f"/api/rate-cards/{sides.own.ids['rule_id']}")
    assert (rate["partner"], rate["created_by"], rate["ended_by"]) == ("acme", None, None)
    task = await get(bound, f"/api/tasks/{sides.own.ids['task_id']}")
    assert (task["kind"], task["requested_by"], task["progress"]) == ("rebuild", None, {"done": 1, "total": 1})
    (listed,) = (await get(bound, "/api/tasks", kind="rebuild"))["items"]
    assert listed == task
    (row,) = (await get(bound, "/api/quarantine"))["items"]
    assert (row["lead_id"], row["left_by"]) == ("acme-unknown", None)
    undecided = (await get(bound, "/api/partners/acme/periods/2024-04"))["undecided"]
    of_others = {"unknown_product": None, "dead_letters": None}
    assert undecided == of_others | {"waiting": None, "quarantined": 1, "held": 0, "complete": True}


async def test_what_a_close_says_of_leads_that_are_not_billed_tells_a_bound_key_of_its_own_only(
    bound: httpx.AsyncClient, sides: Sides, engine: AsyncEngine, settings: Settings
) -> None:
    assert sides
    closing = await bound.post("/api/partners/acme/periods/2024-04/close")
    await finish_tasks(engine, Policies(), settings)
    result = (await get(bound, closing.json()["status_url"]))["result"]
    assert result["undecided"] == {"quarantined": 1, "unknown_product": None, "dead_letters": None, "complete": True}


async def test_a_bound_key_prices_by_rules_of_its_partner_only(
    bound: httpx.AsyncClient, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    general = (await make(client, "rate-cards", action_type="Call", amount="3.00"))["rule_id"]
    before = await row_counts(engine)
    detail = "This key is bound to a partner, and sets prices by rules that name this partner only."
    for query in ("", "?dry_run=true"):
        for response in (
            await bound.post(f"/api/rate-cards{query}", json={"action_type": "Call", "amount": "1.00"}),
            await bound.patch(f"/api/rate-cards/{general}{query}", json={"amount": "1.00"}),
            await bound.delete(f"/api/rate-cards/{general}{query}"),
        ):
            assert check_problem(response, 403)["detail"] == detail
    assert await row_counts(engine) == before


async def test_a_bound_caller_is_told_of_a_person_what_leads_of_its_partner_carried(
    bound: httpx.AsyncClient,
    client: httpx.AsyncClient,
    person: httpx.AsyncClient,
    engine: AsyncEngine,
    policies: Policies,
    settings: Settings,
) -> None:
    """Another partner met the person first, by an id of its own; both carried the same e-mail."""
    first, second = "11111111-2222-3333-4444-555555555555", "mine"
    ann = {"name": "Ann", "email": "ann@example.com"}
    theirs = lead("theirs", product_id="gadget", customer_id=first, customer=ann)
    await bill(client, engine, policies, theirs, lead("own", customer_id=second, customer=ann))
    (known,) = (await get(client, "/api/customers", customer=first))["items"]
    assert (known["external_id"], known["aliases"]) == (first, [second])
    action_id = (await get(client, "/leads/own"))["actions"][0]["action_id"]
    (report,) = (await get(bound, "/billing/reports"))["items"]
    live = f"/billing/reports/{report['report_id']}"
    compared = await bound.post(
        "/api/reconciliations?partner=acme&period=2024-04",
        content="email,day,amount\nbob@example.com,2024-04-01,7.00\n",
        headers={"Content-Type": "text/csv"},
    )
    await finish_tasks(engine, policies, settings)
    answers = {
        path: (await bound.get(path)).text
        for path in (
            "/leads/own",
            "/leads?lead_id=own",
            "/leads",
            f"/leads?customer={second}",
            f"/api/actions/{action_id}",
            live,
            f"{live}?format=csv",
            f"{live}?format=md",
            f"{live}/customers?limit=1",
            f"/api/reconciliations/{compared.json()['task_id']}",
        )
    }
    named = f"/people/{customer_uuid(second)}"
    pages = ("/activity", "/activity/export", "/activity/own", "/partners/acme/months/2024-04", named)
    answers |= {path: (await person.get(path)).text for path in pages}
    for path, text in answers.items():
        assert first not in text, path
        assert second in text or path == f"/api/actions/{action_id}", path
        for cursor in re.findall(r'"next":"([^"]+)"', text):
            assert first not in b64decode(cursor + "==").decode(), path
    shown = json.loads(answers["/leads/own"])["customer"]
    assert (shown["external_id"], shown["customer_id"]) == (second, str(customer_uuid(second)))
    for query in (f"/leads?customer={first}", f"/billing/reports?customer={first}"):
        check_problem(await bound.get(query), 404)
    assert (await person.get(f"/people/{first}")).status_code == 404
    assert (await person.get(f"/search?q={second}")).headers["Location"] == named
    assert "Location" not in (await person.get(f"/search?q={first}")).headers
    assert (await get(client, "/leads/own"))["customer"]["external_id"] == first
    page = await get(bound, f"{live}/customers", limit=1)
    assert (await get(bound, f"{live}/customers", limit=1, after=page["next"]))["items"] == []
    for chosen in (UUID(first), UUID(int=UUID(first).int - 1)):
        after = cursor_from_place(chosen)
        check_problem(await bound.get(f"{live}/customers?after={after}"), 400)
        assert (await person.get(f"/partners/acme/months/2024-04?after={after}")).status_code == 400


async def test_an_id_is_open_to_a_bound_caller_once_leads_of_its_partner_carried_it(
    bound: httpx.AsyncClient, client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    """What the partner's leads carried first goes on to be shown."""
    await bill(client, engine, policies, lead("1"))
    again = {"customer": {"name": "Anna", "email": "anna@example.com"}}
    await bill(client, engine, policies, lead("2", customer_id="anna-2", **again))
    check_problem(await bound.get("/leads?customer=anna-3"), 404)
    await bill(client, engine, policies, lead("3", product_id="gadget", customer_id="anna-3", **again))
    check_problem(await bound.get("/leads?customer=anna-3"), 404)
    await bill(client, engine, policies, lead("4", customer_id="anna-3", **again))
    for own_id in ("anna", "anna-2", "anna-3"):
        found = (await get(bound, "/leads", customer=own_id))["items"]
        assert {each["lead_id"] for each in found} == {"1", "2", "4"}
        assert {each["customer"]["external_id"] for each in found} == {"anna"}
