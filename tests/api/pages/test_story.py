"""The story of one bill in a real browser on the real stack, from the lead that arrives to the payment."""

import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from tests.api.pages.place import Place, ask, opened, sign_in
from tests.browser import needs_browser
from tests.stack import Stack

pytestmark = [needs_browser, pytest.mark.slow]

MARKUP = "<img src=x onerror=alert(1)> Books"
"""Stands in every field that somebody may fill."""


@pytest.fixture(scope="module")
def place(stack: Stack) -> Iterator[Place]:
    """A partner, and a rival whose Pat must see nothing of it."""
    with opened(stack, una="admin", mia="finance", tom="sales", vic="customer_success") as place:
        ask(place.client, "PUT", "/api/seller", name=MARKUP)
        for external_id in ("story", "rival"):
            ask(place.client, "POST", "/api/partners", external_id=external_id, name=MARKUP)
        ask(place.client, "POST", "/api/products", external_id="story-crm", partner="story", name=MARKUP)
        ask(place.client, "POST", "/api/customers", external_id="story-anna", name=MARKUP, email="anna@story.example")
        place.person("pat", role="partner", partner="rival")
        yield place


def test_from_the_lead_to_the_payment(place: Place) -> None:
    finance = place.page("mia")
    dialogs: list[str] = []
    finance.on("dialog", lambda dialog: dialogs.append(dialog.message))
    arrives_live(place, finance)
    path = billed(finance)
    bill_id = path.rpartition("/")[2]

    rejected_on_a_phone_without_script(place, path)
    finance.reload()
    expect(finance.get_by_text(f"{MARKUP} is missing.")).to_be_visible()
    finance.get_by_role("button", name="Take bill up again").click()
    ask(
        place.client,
        "POST",
        "/api/adjustments",
        partner="story",
        period="2024-02",
        text=MARKUP,
        amount="-2.50",
        reason=MARKUP,
    )
    finance.get_by_role("button", name="Make bill anew").click()
    expect(finance.locator(".figures .first dd")).to_have_text("7.50")
    finance.get_by_role("button", name="Submit bill").click()
    assert place.state(bill_id) == "pending"

    approved_by_two_at_once(place, path)
    assert place.state(bill_id) == "approved"
    nothing_for_others(place, path)
    issued_over_an_ended_session(place, finance, path)
    assert place.state(bill_id) == "issued"
    expect(finance.get_by_role("heading", level=1)).to_have_text(f"{MARKUP} · February 2024")

    text = downloaded_pdf(finance)
    assert ("STORY-0001" in text, MARKUP in text) == (True, True)
    finance.get_by_text("Enter a payment…").click()
    finance.get_by_label("Paid on").fill("2024-03-20")
    finance.get_by_label("Reference").fill(MARKUP)
    finance.get_by_role("button", name="Enter the payment").click()
    expect(finance.get_by_text("Paid", exact=True)).to_be_visible()
    expect(finance.locator(".figures .first dd")).to_have_text("0.00")
    assert place.state(bill_id) == "paid"
    for more in ("/activity?partner=story", "/people/story-anna", "/partners?q=Books", "/search?q=story", "/dashboard"):
        finance.goto(more)
        expect(finance.locator("img")).to_have_count(0)
    assert dialogs == []


def arrives_live(place: Place, page: Page) -> None:
    """A lead that comes while somebody looks moves the figures, and nobody loads the page again."""
    page.goto("/dashboard")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.evaluate("window.isTheSame = true")
    decided = page.locator("[data-name=decided]")
    before = decided.text_content() or ""
    lead = {
        "lead_id": "story-lead",
        "customer_id": "story-anna",
        "product_id": "story-crm",
        "lead_type": MARKUP,
        "actions": [{"action_type": MARKUP, "engagement_level": "High", "timestamp": "2024-02-10T10:00:00Z"}],
    }
    assert place.client.post("/leads", json=[lead]).status_code == 202
    expect(decided).not_to_have_text(before)
    assert page.evaluate("window.isTheSame")


def billed(page: Page) -> str:
    """Bill the month at its end; returns the path of the bill, on which the page then is."""
    page.goto("/month?period=2024-02")
    page.get_by_label("Partners").fill("story")
    page.get_by_text("Bill February 2024").first.click()
    page.get_by_label("Type 2024-02 to bill it").fill("2024-02")
    page.get_by_role("button", name="Bill February 2024").click()
    page.get_by_role("row").filter(has_text="story").locator("a.row").click()
    expect(page.locator(".figures .first dd")).to_have_text("10.00")
    return page.url.removeprefix(page.url[: page.url.index("/bills/")])


def rejected_on_a_phone_without_script(place: Place, path: str) -> None:
    page = place.page("tom", java_script_enabled=False, viewport={"width": 390, "height": 844})
    page.goto(path)
    page.get_by_text("Reject bill…").click()
    page.get_by_label("Reason").fill(f"{MARKUP} is missing.")
    page.get_by_role("button", name="Reject bill").click()
    expect(page.get_by_text("Rejected", exact=True)).to_be_visible()


def approved_by_two_at_once(place: Place, path: str) -> None:
    """Two tabs of one person approve once; somebody else is told who was first."""
    one, other = place.page("tom"), place.page("vic")
    second = one.context.new_page()
    for page in (one, second, other):
        page.goto(path)
    one.get_by_role("button", name="Approve bill").click()
    expect(one.get_by_role("status").first).to_have_text("You approved the bill.")
    second.get_by_role("button", name="Approve bill").click()
    expect(second.get_by_text("Tom approved it")).to_have_count(1)
    other.get_by_role("button", name="Approve bill").click()
    expect(other.get_by_role("alert")).to_be_focused()
    expect(other.get_by_text("Tom approved it").first).to_be_visible()


def nothing_for_others(place: Place, path: str) -> None:
    """Sales sees no button of Finance, the people of another partner see nothing at all."""
    sales, rival = place.page("tom"), place.page("pat")
    sales.goto(path)
    expect(sales.get_by_role("button", name="Issue bill")).to_have_count(0)
    for each in (path, f"{path}/files/pdf", f"/api{path}"):
        answer = rival.request.get(each)
        assert (answer.status, "7.50" in answer.text()) == (404, False)
    rival.goto(path)
    expect(rival.get_by_role("heading", level=1)).to_have_text("There is nothing here")


def issued_over_an_ended_session(place: Place, page: Page, path: str) -> None:
    """What was typed is kept while the person signs in again."""
    page.goto(path)
    page.get_by_label("Gross amount, to be sure").fill("7.50")
    elsewhere = place.page("mia")
    elsewhere.goto("/account")
    elsewhere.get_by_role("button", name="Sign out everywhere").click()
    until_forgotten(place, page)
    page.get_by_role("button", name="Issue bill").click()
    expect(page.get_by_text("what you typed is kept")).to_be_visible()
    sign_in(page, "mia")
    expect(page.get_by_text("7.50")).to_be_visible()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("STORY-0001").first).to_be_visible()


def until_forgotten(place: Place, page: Page) -> None:
    """A process remembers for up to two seconds who signed in; wait until it has looked again."""
    cookies = {each["name"]: each["value"] for each in page.context.cookies()}
    deadline = time.monotonic() + 30
    while httpx.get(f"{place.url}/api/session", cookies=cookies).is_success:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def downloaded_pdf(page: Page) -> str:
    """The text of the PDF, once it is made."""
    link = page.get_by_role("link", name="PDF", exact=True)
    deadline = time.monotonic() + 30
    while not link.count():
        assert time.monotonic() < deadline
        page.get_by_role("link", name="look again").click()
    with page.expect_download() as download:
        link.click()
    return PdfReader(download.value.path()).pages[0].extract_text()
