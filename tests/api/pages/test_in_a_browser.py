"""The pages in a real browser on the real stack."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.api.pages.place import Place, ask, opened, wait
from tests.browser import needs_browser
from tests.stack import Stack

pytestmark = needs_browser


@pytest.fixture(scope="module")
def place(stack: Stack) -> Iterator[Place]:
    """A partner whose bills of two months wait for their approval."""
    with opened(stack, ada="admin", fay="finance", sam="sales") as place:
        client = place.client
        ask(client, "PUT", "/api/seller", name="Leadger Ltd")
        ask(client, "POST", "/api/partners", external_id="paged", name="Paged & Sons", timezone="Europe/Berlin")
        ask(client, "POST", "/api/products", external_id="paged-crm", partner="paged", name="CRM")
        ask(client, "POST", "/api/customers", external_id="paged-anna", name="Anna", email="anna@paged.example")
        leads = [
            {
                "lead_id": f"paged-{month}",
                "customer_id": "paged-anna",
                "product_id": "paged-crm",
                "lead_type": "Website Visit",
                "actions": [{"action_type": month, "engagement_level": "High", "timestamp": f"{month}-10T10:00:00Z"}],
            }
            for month in ("2024-03", "2024-04")
        ]
        wait(client, client.post("/leads", json=leads).json()["status_url"])
        wait(client, ask(client, "POST", "/api/bills", partner="paged", period="2024-04")["status_url"])
        found = client.get("/api/bills", params={"partner": "paged"}).json()["items"]
        for bill in found:
            ask(client, "PATCH", f"/api/bills/{bill['bill_id']}/submit", digest=bill["digest"])
        place.bills = {bill["period"]: bill["bill_id"] for bill in found}
        yield place


def test_another_person_approves_and_finance_issues(place: Place) -> None:
    finance = place.page("fay")
    finance.goto(f"/bills/{place.bills['2024-03']}")
    expect(finance.get_by_role("button", name="Approve bill")).to_have_count(0)
    expect(finance.get_by_text("This bill asks for an approval of Customer Success or Sales.")).to_be_visible()

    sales = place.page("sam")
    expect(sales.get_by_text("live", exact=True)).to_be_visible()
    sales.goto("/bills?state=mine")
    sales.get_by_role("row").filter(has_text="March 2024").get_by_role("link").click()
    expect(sales.get_by_role("heading", level=1)).to_have_text("Paged & Sons · March 2024")
    sales.get_by_role("button", name="Approve bill").click()
    expect(sales.get_by_role("status").first).to_have_text("You approved the bill.")
    sales.reload()
    expect(sales.get_by_text("You approved the bill.")).to_have_count(0)
    assert place.state(place.bills["2024-03"]) == "approved"

    finance.reload()
    finance.get_by_label("Gross amount, to be sure").fill("10.01")
    finance.get_by_role("button", name="Issue bill").click()
    expect(finance.get_by_role("alert")).to_be_focused()
    assert place.state(place.bills["2024-03"]) == "approved"
    finance.get_by_label("Gross amount, to be sure").fill("10.00")
    finance.get_by_role("button", name="Issue bill").click()
    expect(finance.get_by_text("PAGED-0001").first).to_be_visible()
    assert place.state(place.bills["2024-03"]) == "issued"
    finance.set_viewport_size({"width": 390, "height": 844})
    finance.goto(f"/partners/{place.client.get('/api/partners/paged').json()['partner_id']}/statement")
    booked = finance.get_by_role("row").filter(has_text="PAGED-0001").locator("td")
    assert [cell.is_visible() for cell in booked.all()] == [True, True, True, False]
    tops = "[...document.querySelectorAll('.tabs a')].map(each => each.getBoundingClientRect().top)"
    assert len(set(finance.evaluate(tops))) == 1  # Failed before: the last tab stood in a line of its own.


def test_a_bill_is_rejected_on_a_phone_without_script_with_the_keyboard(place: Place) -> None:
    page = place.page("sam", java_script_enabled=False, viewport={"width": 390, "height": 844})
    page.goto(f"/bills/{place.bills['2024-04']}")
    page.get_by_text("Reject bill…").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type('The <b>"fair"</b> is missing.')
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text('The <b>"fair"</b> is missing.')).to_be_visible()
    assert place.state(place.bills["2024-04"]) == "rejected"


@pytest.mark.slow
def test_a_page_that_waits_looks_again_by_itself(place: Place) -> None:
    page = place.page("fay")
    page.goto("/month?period=2024-05")
    page.get_by_role("button", name="See what May 2024 comes to").click()
    page.wait_for_url("**/runs/*")
    expect(page.locator(".line .chip")).to_have_text("Done")
    expect(page.get_by_role("link", name="Look again")).to_have_count(0)


def test_filters_are_folded_on_a_phone_which_says_how_many_are_set(place: Place) -> None:
    page = place.page("fay", viewport={"width": 390, "height": 844})
    page.goto("/activity?partner=paged&outcome=billed")
    partner = page.get_by_label("Partner", exact=True)
    expect(page.get_by_text("2 set")).to_be_visible()
    expect(partner).to_be_hidden()
    page.locator("summary", has_text="Filters").click()
    expect(partner).to_have_value("paged")
    menu = page.locator(".menu > summary")
    closed = menu.bounding_box()
    menu.click()
    expect(page.get_by_role("link", name="Month end")).to_be_visible()
    assert menu.bounding_box() == closed  # Failed before: what was pressed jumped to the line below.
    page.set_viewport_size({"width": 1440, "height": 900})
    page.reload()
    expect(partner).to_be_visible()
    expect(page.get_by_text("2 set")).to_be_hidden()


def test_axe_finds_nothing_serious(place: Place) -> None:
    outside, inside = place.page(), place.page("fay")
    for page, path in (
        (outside, "/welcome"),
        (outside, "/password?token=x"),
        (inside, "/dashboard"),
        (inside, "/bills"),
        (inside, f"/bills/{place.bills['2024-03']}"),
        (inside, "/account"),
        (inside, "/nothing"),
    ):
        assert wrong_in(page, path) == []


def wrong_in(page: Page, path: str) -> list[tuple[str, str, str]]:
    """What axe finds on a page with every form open."""
    page.goto(path)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    found = Axe().run(page, options={"iframes": False}).response["violations"]
    return [(path, each["id"], each["nodes"][0]["html"]) for each in found]


def other_pages(place: Place) -> list[str]:
    """The pages of records, exceptions, months and settings, each of them."""
    partner = place.client.get("/api/partners/paged").json()["partner_id"]
    user = place.client.get("/api/users").json()["items"][0]["user_id"]
    lead = place.client.get("/leads/paged-2024-03").json()["id"]
    batch = place.client.get("/leads/batches").json()["items"][0]["batch_id"]
    tabs = ("", "/terms", "/products", "/prices", "/usage", "/statement", "/months/2024-03")
    settings = ("people", f"people/{user}", "keys", "webhooks", "notifications", "seller", "audit")
    return [
        *(f"/partners/{partner}{tab}" for tab in tabs),
        *(
            "/partners",
            "/partners/new",
            "/people/new",
            "/activity",
            f"/activity/{lead}",
            "/people/paged-anna",
            "/search?q=paged",
        ),
        *("/import", f"/import/{batch}"),
        *("/month", "/what-if", "/quarantine", "/held", "/dead-letters", "/dead-letters/tasks"),
        *(f"/settings/{name}" for name in settings),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_other_pages(place: Place, scheme: Any) -> None:
    page = place.page("ada", color_scheme=scheme)
    for path in other_pages(place):
        assert wrong_in(page, path) == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 720, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways(place: Place, width: int, scheme: Any) -> None:
    """320 px wide is a screen of 1,280 px at 400 %, 720 one of 1,440 at 200 %."""
    page = place.page("ada", viewport={"width": width, "height": 900}, color_scheme=scheme)
    bills = ("/bills", "/bills?state=draft", f"/bills/{place.bills['2024-03']}")
    for path in ("/dashboard", *bills, "/account", "/no", *other_pages(place)):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        rights = "[...document.querySelectorAll('.tabs a')].map(each => each.getBoundingClientRect().right)"
        assert max(page.evaluate(rights), default=0) <= width, path


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_partners_own_people_compare_their_list_and_ask_for_a_return(place: Place, scheme: Any) -> None:
    """Also on a phone, where nothing scrolls sideways; axe finds nothing on any of it."""
    place.person(f"pat-{scheme}", role="partner", partner="paged")
    page = place.page(f"pat-{scheme}", color_scheme=scheme, viewport={"width": 390, "height": 844})
    page.goto("/partner/reconciliation")
    page.get_by_label("Month").fill("2024-04")
    rows = b"lead_id,amount\npaged-2024-04,12.00\nnobody's,1.00\n"
    page.get_by_label("List").set_input_files({"name": "list.csv", "mimeType": "text/csv", "buffer": rows})
    page.get_by_role("button", name="Compare the list").click()
    expect(page.get_by_role("row").filter(has_text="In both, with other amounts")).to_contain_text("−2.00")
    result = page.url.removeprefix(place.url)
    page.goto("/partner/returns")
    page.get_by_label("Leads (optional)").fill("paged-2024-04")
    page.get_by_role("button", name="Ask for the return").click()
    expect(page.get_by_role("status")).to_have_text("Asked for the return of 1 action.")
    expect(page.get_by_role("row").filter(has_text="paged-2024-04")).to_contain_text("Asked")
    lead = place.client.get("/leads/paged-2024-04").json()["id"]
    for path in ("/partner", "/partner/reconciliation", result, "/partner/returns", f"/activity/{lead}"):
        assert wrong_in(page, path) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
