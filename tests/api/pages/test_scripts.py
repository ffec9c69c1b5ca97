"""What the scripts of the pages add, in a real browser on the real stack: each page works without them, too."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.api.pages.place import Place, ask, opened, wait
from tests.browser import needs_browser
from tests.stack import Stack

pytestmark = needs_browser

LIVE, FIGURES = "**/dashboard/live", "**/dashboard/figures"
_HIDE = """(isAway) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => isAway });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def place(stack: Stack) -> Iterator[Place]:
    """Two partners, of which one was billed 10.00."""
    with opened(stack, zoe="admin") as place:
        client = place.client
        for name in ("typed", "typed-too"):
            ask(client, "POST", "/api/partners", external_id=name, name=name.title())
        ask(client, "POST", "/api/products", external_id="typed-crm", partner="typed", name="CRM")
        ask(client, "POST", "/api/customers", external_id="typed-anna", name="Anna", email="anna@typed.example")
        action = {"action_type": "Call", "engagement_level": "High", "timestamp": "2024-03-10T10:00:00Z"}
        lead = {"lead_id": "typed-1", "customer_id": "typed-anna", "product_id": "typed-crm", "lead_type": "Visit"}
        wait(client, client.post("/leads", json=[lead | {"actions": [action]}]).json()["status_url"])
        yield place


@pytest.fixture(scope="module")
def signed_in(place: Place) -> Page:
    """A page of an Admin, who may copy to the clipboard."""
    page = place.page("zoe")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=place.url)
    return page


def figures(decided: int, *, is_paused: bool = False) -> str:
    """An event of a stream, which then ends."""
    names = ("waiting", "oldest_s", "quarantined", "dead_letters", "tasks")
    told = json.dumps({"decided": decided, "is_paused": is_paused, **dict.fromkeys(names, 0)})
    return f"retry: 100\n\ndata: {told}\n\n"


@pytest.mark.slow
def test_figures_are_asked_for_where_no_stream_comes(signed_in: Page) -> None:
    """The stream hangs, as behind a proxy that keeps what is sent until it has ended; then nothing is reached."""
    signed_in.route(LIVE, lambda _: None)
    signed_in.goto("/dashboard")
    expect(signed_in.locator("[data-state]")).to_have_text("")
    with signed_in.expect_response(FIGURES) as answer:
        signed_in.evaluate("window.asked = Date.now()")
    assert answer.value.status == 200
    expect(signed_in.locator("[data-state]")).to_have_text("live")
    signed_in.route(FIGURES, lambda route: route.abort())
    expect(signed_in.locator("[data-state]")).to_have_text("not reached")
    signed_in.unroute(FIGURES)
    expect(signed_in.locator("[data-state]")).to_have_text("live")
    signed_in.route(FIGURES, lambda route: route.fulfill(status=401))
    expect(signed_in.locator("[data-state]")).to_have_text("signed out")
    signed_in.unroute_all()


def test_a_stream_that_has_ended_is_opened_again_and_one_nobody_looks_at_is_paused(signed_in: Page) -> None:
    opened_so_often = 0

    def answer(route: Route) -> None:
        nonlocal opened_so_often
        opened_so_often += 1
        body = figures(opened_so_often, is_paused=opened_so_often == 1)
        route.fulfill(content_type="text/event-stream", body=body)

    signed_in.route(LIVE, answer)
    signed_in.goto("/dashboard")
    state, decided = signed_in.locator("[data-state]"), signed_in.locator("[data-name=decided]")
    expect(decided).to_have_text(re.compile("[3-9]|[0-9]{2}"))
    expect(state).to_have_text("live")
    signed_in.evaluate(_HIDE, True)
    expect(state).to_have_text("paused")
    before = opened_so_often
    signed_in.wait_for_timeout(1000)
    assert opened_so_often <= before + 1
    signed_in.evaluate(_HIDE, False)
    expect(state).to_have_text("live")
    signed_in.unroute_all()
    event = figures(1, is_paused=True)
    signed_in.route(LIVE, lambda route: route.fulfill(content_type="text/event-stream", body=event))
    signed_in.goto("/dashboard")
    expect(state).to_have_text("the workers are paused")
    signed_in.unroute_all()


def test_keys_lead_to_the_search_and_through_a_list(signed_in: Page) -> None:
    signed_in.goto("/partners?q=typed")
    rows = signed_in.locator("a.row")
    expect(rows).to_have_count(2)
    for key, at in (("j", 0), ("j", 1), ("j", 1), ("k", 0), ("k", 0)):
        signed_in.keyboard.press(key)
        expect(rows.nth(at)).to_be_focused()
    signed_in.keyboard.press("/")
    search = signed_in.locator("#search-wide")
    expect(search).to_be_focused()
    signed_in.keyboard.type("/jk")
    expect(search).to_have_value("/jk")


def test_a_secret_is_copied_and_a_double_click_makes_one_key(place: Place, signed_in: Page) -> None:
    signed_in.goto("/settings/keys")
    signed_in.get_by_text("Make a key").click()
    signed_in.get_by_label("Name", exact=True).fill("copied")
    signed_in.locator("input[name=scopes][value=read]").check()
    signed_in.get_by_role("button", name="Make the key").dblclick()
    secret = signed_in.locator(".secret code").text_content()
    signed_in.get_by_role("button", name="Copy").click()
    expect(signed_in.get_by_role("button", name="Copied")).to_be_visible()
    assert signed_in.evaluate("navigator.clipboard.readText()") == secret
    keys = place.client.get("/api/keys").json()["items"]
    assert [each["name"] for each in keys].count("copied") == 1


def test_what_a_price_would_change_is_shown_while_it_is_typed(place: Place, signed_in: Page) -> None:
    partner = place.client.get("/api/partners/typed").json()["partner_id"]
    signed_in.goto(f"/partners/{partner}/prices")
    signed_in.get_by_text("Set a price").click()
    effect = signed_in.locator("[data-effect]")
    signed_in.get_by_label("Product").fill("typed-crm")
    signed_in.get_by_label("Price (EUR)").press_sequentially("4.00")
    expect(effect).to_contain_text("−6.00 EUR")
    signed_in.get_by_label("Price (EUR)").fill("7.00")
    expect(effect).to_contain_text("−3.00 EUR")
    assert "preview" not in signed_in.url
    signed_in.get_by_label("Price (EUR)").fill("cheap")
    expect(effect).to_have_text("")
    signed_in.get_by_label("Price (EUR)").fill("8.00")
    expect(effect).to_contain_text("−2.00 EUR")
    signed_in.get_by_role("button", name="Set the price").click()
    expect(signed_in.get_by_role("status").first).to_contain_text("The price is set")
    rules = place.client.get("/api/rate-cards?partner=typed").json()["items"]
    assert [each["amount"] for each in rules if each["partner"]] == ["8.00"]
