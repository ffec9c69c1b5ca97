"""What holds for every page: its policy, its size, its words, and whom it is for."""

import gzip
import html
import re

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy.ext.asyncio import AsyncEngine

from api.pages.navigation import GROUPS
from billing.roles import Role
from db.core.engine import transaction
from scripts.dev.house_rules import ROOT
from tests.api.office import Office
from tests.api.pages.browser import HTML
from tests.api.pages.conftest import BrowserOf
from tests.api.world import action, bill, check_problem, get, lead, make, make_masters

MOST_BYTES = 60_000
LED_ON = ("/settings", "/customers")
"""Paths that lead on to a page."""
OF_PARTNERS = ("/partner", "/partner/reconciliation", "/partner/returns")
FILES = ("/activity/export", "/bills/export", "/held/export", "/partners/export", "/quarantine/export")
MARKUP = "<script>alert(1)</script>&\"'"


def page_paths(app: FastAPI) -> list[str]:
    """The pages without a parameter that are read."""
    return sorted(
        str(each.path)
        for each in iter_route_contexts(app.routes)
        if getattr(each.endpoint, "__module__", "").startswith("api.pages.")
        and "GET" in (each.methods or ())
        and "{" not in str(each.path)
        and str(each.path) not in ("/", "/dashboard/live", "/dashboard/figures", *OF_PARTNERS, *LED_ON, *FILES)
    )


async def test_every_page_obeys_the_policy_and_is_small(browser_of: BrowserOf, app: FastAPI, office: Office) -> None:
    browser = await browser_of("ada", Role.ADMIN)
    assert "/dashboard" in page_paths(app)
    for path in page_paths(app):
        response = await browser.client.get(path, headers=HTML)
        text = response.text
        assert response.status_code == 200, (path, text)
        assert response.headers["content-security-policy"].startswith("default-src 'none'; "), path
        assert "unsafe" not in response.headers["content-security-policy"], path
        assert response.headers["referrer-policy"] == "same-origin", path
        assert "no-store" in response.headers["cache-control"], path
        assert response.headers["content-encoding"] == "gzip", path
        assert len(gzip.compress(response.content)) <= MOST_BYTES, path
        assert not re.search(r"<script(?! src=)|<style|\son\w+=|\sstyle=|javascript:|https?://", text), path
        assert len(re.findall("<h1", text)) == 1, path
        assert re.search(r"<title>[^<]+ · Leadger</title>", text), path


async def test_files_beside_the_pages_are_kept_for_ever_under_their_content(browser_of: BrowserOf) -> None:
    browser = await browser_of()
    names = re.findall(r'(?:href|src)="(/static/[^"]+)"', (await browser.get("/welcome")).response.text)
    assert len(names) == 4
    for name in names:
        packed = await browser.client.get(name, headers={"Accept-Encoding": "gzip"})
        plain = await browser.client.get(name, headers={"Accept-Encoding": "identity"})
        assert (packed.status_code, packed.headers["content-encoding"], packed.content) == (200, "gzip", plain.content)
        assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "content-encoding" not in plain.headers
        other = re.sub(r"/static/[0-9a-f]+/", "/static/0000000000000000/", name)
        check_problem(await browser.client.get(other), 404)
    assert (await browser.client.get("/static/x/..%2f__init__.py")).status_code == 404


def test_scripts_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / "api/pages/static").glob("*.js")}
    assert sizes
    assert max(sizes.values()) <= 8 * 1024


async def test_refusals_are_pages_for_browsers_and_documents_for_programs(browser_of: BrowserOf) -> None:
    browser = await browser_of("sam", Role.SALES)
    for path, status, title in (
        ("/nothing", 404, "There is nothing here"),
        ("/bills/00000000-0000-0000-0000-000000000000", 404, "There is nothing here"),
        ("/api/keys", 403, "This is not open to you Your role is Sales; this is for Admin. An Admin gives roles."),
        ("/what-if", 403, "Your role is Sales; this is for Admin and Finance."),
        ("/bills?unknown=1", 400, "This cannot be read"),
    ):
        page = await browser.get(path)
        assert (page.status, title in page.text) == (status, True), path
        assert page.response.headers["content-type"] == "text/html; charset=utf-8"
        check_problem(await browser.client.get(path), status)


async def test_a_filter_that_cannot_be_says_so_beside_what_was_typed(browser_of: BrowserOf, office: Office) -> None:
    browser = await browser_of("sam", Role.SALES)
    for path in ("/bills", "/held"):
        page = await browser.get(f"{path}?period=x&partner=acme")
        assert (page.status, 'href="#period"' in page.response.text) == (400, True), path
        assert ('value="x"' in page.response.text, 'value="acme"' in page.response.text) == (True, True), path
    for path in ("/bills", "/held", "/activity"):
        page = await browser.get(f"{path}?partner=nobody")
        assert (page.status, "There is no partner" in page.text) == (404, True), path
        assert 'value="nobody"' in page.response.text, path


async def test_a_database_that_is_away_is_a_page(browser_of: BrowserOf, app: FastAPI, engine: AsyncEngine) -> None:
    browser = await browser_of("sam", Role.SALES)
    assert (await browser.get("/bills")).status == 200
    async with transaction(engine) as connection:
        await connection.execute("ALTER TABLE bills RENAME TO gone")
    page = await browser.get("/bills?state=draft")
    assert (page.status, "Not available just now" in page.text, "counts once" in page.text) == (503, True, False)
    assert '<a class="button primary" href="/bills?state=draft">Try again</a>' in page.response.text


async def test_markup_stays_text_in_every_field(
    browser_of: BrowserOf, client: httpx.AsyncClient, office: Office, engine: AsyncEngine
) -> None:
    await client.patch("/api/partners/acme", json={"name": MARKUP, "po_number": MARKUP})
    await client.patch("/api/products/widget", json={"name": MARKUP})
    await office.lead_in("2024-04")
    await make(
        client,
        "adjustments",
        partner="acme",
        period="2024-04",
        text=MARKUP,
        amount="1.00",
        reason=MARKUP,
    )
    draft = await office.make()
    sales = await office.person("sam", Role.SALES)
    await office.moved(await office.moved(draft, "submit"), "reject", sales, reason=MARKUP)
    browser = await browser_of("ada", Role.ADMIN)
    for path in ("/bills", f"/bills/{draft['bill_id']}", "/dashboard", "/bills?number=<script>alert(1)"):
        text = (await browser.get(path)).response.text
        assert "<script>alert" not in text, path
    assert (await browser.get(f"/bills/{draft['bill_id']}")).text.count(MARKUP) >= 5
    typed = await browser.send("/welcome/sign-in", {"email": MARKUP, "password": MARKUP, "next": MARKUP})
    assert "<script>alert" not in typed.response.text


@pytest.mark.parametrize("role", [*Role, None])
async def test_everybody_is_led_only_to_what_is_open_to_them(
    browser_of: BrowserOf, client: httpx.AsyncClient, role: Role | None
) -> None:
    await make_masters(client)
    browser = await browser_of("who", role, "acme" if role is Role.PARTNER else None)
    home = await browser.follow(await browser.get("/"))
    assert home.status == 200
    links = set(re.findall(r'<a href="(/[a-z-]+)"', home.response.text))
    for path in links:
        page = await browser.get(path)
        assert page.status == (303 if path in LED_ON else 200), path
        assert re.findall(r'<p class="empty">[^<]+</p>', page.response.text) == [], path
    assert ("/dashboard" in links) is (role not in (Role.PARTNER, None))
    assert ("/bills" in links) is (role is not None)


async def full_of_markup(office: Office) -> None:
    """Markup in every field that somebody may fill, and rows of every kind."""
    client = office.client
    await client.patch("/api/partners/acme", json={"name": MARKUP, "po_number": MARKUP})
    await client.patch("/api/products/widget", json={"name": MARKUP, "description": MARKUP})
    await client.patch("/api/customers/anna", json={"name": MARKUP})
    clicks = [action(f"{MARKUP}{number}", at=f"2024-04-0{number}T10:00:00Z") for number in range(1, 4)]
    leads = [
        lead(MARKUP, *clicks, lead_type=MARKUP, source=MARKUP),
        lead(f"{MARKUP} of nobody", customer_id=MARKUP, lead_type=MARKUP),
        lead(f"{MARKUP} of nothing", product_id=MARKUP, lead_type=MARKUP),
    ]
    await bill(client, office.engine, office.policies, *leads)
    (decided,) = (await get(client, "/leads", partner="acme", lead_type=MARKUP))["items"]
    first, second, _ = (await get(client, f"/leads/{decided['id']}"))["actions"]
    for name, of in (("hold", first), ("return", second)):
        done = await client.post(f"/api/actions/{of['action_id']}/{name}", json={"reason": MARKUP})
        assert done.is_success, done.text
    for kind, fields in (
        ("adjustments", {"period": "2024-05", "text": MARKUP, "amount": "1.00", "reason": MARKUP}),
        ("usage", {"period": "2024-05", "source": MARKUP, "key": MARKUP, "units": 1}),
        ("rate-cards", {"lead_type": MARKUP, "action_type": MARKUP, "amount": "3.00"}),
    ):
        made = await client.post(f"/api/{kind}", json=fields | {"partner": "acme"})
        assert made.is_success, made.text
    assert (await client.post("/api/keys", json={"name": MARKUP, "scopes": ["read"]})).is_success
    hook = {"url": "https://hooks.example.com/x?<script>alert(1)", "events": ["bill.issued"]}
    assert (await client.post("/api/webhooks", json=hook)).is_success
    async with transaction(office.engine) as connection:
        await connection.execute(
            """
            INSERT INTO dead_letters (inbox_id, batch_id, lead_id, payload, received_at, error)
            VALUES (1, gen_random_uuid(), gen_random_uuid(), '{}', now(), $1)
            """,
            MARKUP,
        )


@pytest.mark.parametrize(
    "role",
    [Role.ADMIN, *(pytest.param(role, marks=pytest.mark.slow) for role in Role if role is not Role.ADMIN)],
)
async def test_every_link_leads_somewhere(browser_of: BrowserOf, office: Office, role: Role) -> None:
    """What somebody typed stays text on every page, and every page is small."""
    await office.lead_in("2024-03", "2024-04")
    await office.issued(await office.make("2024-03"))
    await full_of_markup(office)
    browser = await browser_of(MARKUP, role, "acme" if role is Role.PARTNER else None)
    waiting, seen = ["/"], {"/"}
    while waiting:
        path = waiting.pop()
        page = await browser.get(path)
        assert page.status in (200, 303), path
        if page.response.headers.get("content-type", "").startswith("text/html") and page.status == 200:
            assert "<script>alert" not in page.response.text, path
            assert len(gzip.compress(page.response.content)) <= MOST_BYTES, path
            assert page.response.headers["content-security-policy"].startswith("default-src 'none'; "), path
        links = re.findall(r'<a [^>]*href="(/[^"#]*)', page.response.text)
        found = {html.unescape(link) for link in [*links, page.response.headers.get("location", "/")]} - seen
        waiting += found
        seen |= found
    assert len(seen) > 15


async def test_a_partner_sees_own_issued_bills_and_nothing_of_our_people(browser_of: BrowserOf, office: Office) -> None:
    await office.lead_in("2024-03", "2024-04")
    issued = await office.issued(await office.make("2024-03"))
    draft = await office.make("2024-04")
    browser = await browser_of("pat", Role.PARTNER, "acme")
    bills = await browser.get("/bills")
    assert issued["number"] in bills.text
    assert draft["bill_id"] not in bills.response.text
    assert (await browser.get(f"/bills/{draft['bill_id']}")).status == 404
    page = await browser.get(f"/bills/{issued['bill_id']}")
    assert (page.status, set(page.forms)) == (200, {"/account/sign-out"})
    assert "reviewer" not in page.text
    assert "History" not in page.text
    assert (await browser.get("/dashboard")).status == 403


async def test_the_gateway_lets_every_page_through(app: FastAPI) -> None:
    text = (ROOT / "terraform/modules/gateway/routes.tf").read_text()
    pages = set(re.findall(r'"([a-z-]+)"', text.partition("pages = [")[2].partition("]")[0]))
    served = {
        str(each.path).split("/")[1]
        for each in iter_route_contexts(app.routes)
        if getattr(each.endpoint, "__module__", "").startswith("api.pages.")
    }
    assert served - {""} <= pages
    assert {entry.path.removeprefix("/") for _, group in GROUPS for entry in group} <= pages
