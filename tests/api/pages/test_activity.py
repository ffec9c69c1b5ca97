"""Activity, a lead and a person as pages: what became of each action and why, and decisions about one."""

import csv
import gzip
import html
import io
import random
import re
import string

import httpx
import pytest
from openpyxl import load_workbook

from api.pages import activity, exports, person, search
from api.pages.lists import PER_PAGE
from billing.roles import Role
from db.reports import customer_months, leads_on_record
from tests.api.office import Office
from tests.api.pages.browser import Browser
from tests.api.pages.conftest import BrowserOf
from tests.api.pages.test_pages import MOST_BYTES
from tests.api.world import Json, action, bill, get, lead, make

MARKUP = "<script>alert(1)</script>&\"'"


@pytest.fixture
async def found(client: httpx.AsyncClient, office: Office) -> Json:
    """A lead of anna with 12 actions of 10.00, one of them a duplicate and one above the cap; and a lead of globex."""
    await make(client, "partners", external_id="globex", name="Globex", timezone="Europe/Berlin")
    await make(client, "products", external_id="other", partner="globex", name="Other")
    actions = [action(f"Click {number:02}", at=f"2024-04-{number + 1:02}T10:00:00Z") for number in range(11)]
    again = action("Click 00", at="2024-04-20T10:00:00Z")
    mine = lead("mine", *actions, again, lead_type=MARKUP)
    theirs = lead("theirs", action("Call", "Low"), product_id="other", source="ads", created_at="2024-04-01T09:00:00Z")
    await bill(client, office.engine, office.policies, mine, theirs)
    return await get(client, "/leads/mine")


async def test_leads_are_filtered_and_each_action_says_why(
    browser_of: BrowserOf, found: Json, client: httpx.AsyncClient
) -> None:
    sam = await browser_of("sam", Role.SALES)
    page = await sam.get("/activity")
    assert "120.00 100.00 EUR 20.00" in page.text
    assert "12 actions: 10 billed, 1 above the cap, 1 duplicate." in page.text
    assert "Website Visit · 1 action: billed. anna@ example.com Other Globex " in page.text
    assert MARKUP in page.text
    for query, mine, theirs in (
        ("partner=globex", False, True),
        ("customer=anna&product=widget", True, False),
        ("outcome=capped", True, False),
        ("outcome=capped&period=2024-04", True, False),
        ("period=2024-04", True, True),
        ("period=2024-05", False, False),
        ("start=2020-01-01&end=2020-01-02", False, False),
        (f"lead_type={MARKUP[:7]}", False, False),
        ("source=ads", False, True),
        ("action_type=CALL", False, True),
        ("action_type=click+01&outcome=billed", True, False),
        ("action_type=click+01&outcome=capped", False, False),
        ("engagement_level=high", True, False),
        ("engagement_level=high&action_type=call", False, False),
    ):
        page = await sam.get(f"/activity?{query}")
        assert page.status == 200, query
        assert (f"/activity/{found['id']}" in page.response.text, ">theirs</a>" in page.response.text) == (mine, theirs)
    in_berlin = await sam.get("/activity?partner=globex")
    assert "1 Apr 2024, 11:00 CEST" in in_berlin.text
    assert 'title="2024-04-01 09:00:00 UTC"' in in_berlin.response.text
    unknown = await sam.get("/activity?partner=nobody")
    assert (unknown.status, "There is no partner &#39;nobody&#39;." in unknown.response.text) == (404, True)
    shown = await sam.get(f"/activity/{found['id']}")
    assert "Billed 100.00 EUR Gross 120.00 Saved as duplicates 10.00 Saved by the cap 10.00" in shown.text
    assert "Not billed: the cap of 100.00 EUR per customer in April 2024 was already used up" in shown.text
    assert "<script>alert" not in shown.response.text
    (earlier,) = re.findall(r'href="(/search[?]q=[^"]+)">See that action', shown.response.text)
    assert "Not billed: duplicate of the action of 1 Apr 2024, 10:00 UTC; its value is 10.00 EUR" in shown.text
    assert earlier.partition("=")[2] not in shown.text
    assert (await sam.get(earlier)).response.headers["location"] == f"/activity/{found['id']}"
    assert set(shown.forms) == {"/account/sign-out", f"/activity/{found['id']}/ask-return"}
    assert (await sam.get("/activity/00000000-0000-0000-0000-000000000000")).status == 404


async def test_without_filters_the_latest_received_come_first_over_all_months(
    browser_of: BrowserOf, client: httpx.AsyncClient, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: the latest created came first, and what came in late was far below."""
    sam = await browser_of("sam", Role.SALES)
    for name, month in (("first", "2024-05"), ("second", "2024-04"), ("third", "2024-03")):
        at = f"{month}-02T10:00:00Z"
        await bill(client, office.engine, office.policies, lead(name, action("Click", at=at), created_at=at))
    monkeypatch.setattr(activity, "PER_PAGE", 2)
    newest = await sam.get("/activity")
    assert re.findall(r'class="row" href="/activity/[^"]+" dir="auto">(\w+)', newest.response.text) == [
        "third",
        "second",
    ]
    older = re.search(r'href="([^"]+)" rel="next"', newest.response.text)
    assert older is not None
    assert re.findall(r'dir="auto">(first|second|third)<', (await sam.get(html.unescape(older[1]))).response.text) == [
        "first"
    ]
    of_acme = await sam.get("/activity?partner=acme")
    assert re.findall(r'dir="auto">(first|second|third)<', of_acme.response.text) == ["first", "second"]


@pytest.mark.slow
async def test_the_leads_behind_an_old_bill_are_found_behind_newer_ones(
    browser_of: BrowserOf, client: httpx.AsyncClient, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: the page was empty, with a link to look further."""
    monkeypatch.setattr(leads_on_record, "MOST_LEADS_SEARCHED", 2)
    leads = [
        lead(
            f"lead {month}",
            action("Click", at=f"2024-{month:02}-02T10:00:00Z"),
            created_at=f"2024-{month:02}-02T10:00:00Z",
        )
        for month in (1, 4, 5, 6, 7)
    ]
    await bill(client, office.engine, office.policies, *leads)
    sam = await browser_of("sam", Role.SALES)
    assert "lead 1" in (await sam.get("/activity?partner=acme&period=2024-01")).text


@pytest.mark.slow
async def test_a_crowded_list_is_small(client: httpx.AsyncClient, browser_of: BrowserOf, office: Office) -> None:
    """Fifty leads whose names, as long as they may be, have nothing in common."""
    chance = random.Random(1)

    def name() -> str:
        return "".join(chance.choices(string.ascii_letters, k=200))

    crowd = [lead(name(), action(name()), lead_type=name(), source=name()) for _ in range(PER_PAGE)]
    await bill(client, office.engine, office.policies, *crowd)
    page = await (await browser_of("sam", Role.SALES)).get("/activity")
    assert page.response.text.count('<tr class="link">') == len(crowd)
    assert len(gzip.compress(page.response.content)) <= MOST_BYTES


async def test_exactly_what_is_filtered_is_exported(
    browser_of: BrowserOf, found: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ROWS_AT_ONCE", 1)
    sam, pat = await browser_of("sam", Role.SALES), await browser_of("pat", Role.PARTNER, "acme")
    page = await sam.get("/activity?partner=acme&lead_type=")
    assert "/activity/export?kind=csv&amp;partner=acme" in page.response.text

    async def rows(browser: Browser, query: str) -> list[dict[str, str]]:
        answer = await browser.client.get(f"/activity/export?kind=csv{query}")
        assert answer.headers["content-disposition"] == 'attachment; filename="leads.csv"'
        return list(csv.DictReader(io.StringIO(answer.text)))

    mine, theirs = sorted(await rows(sam, ""), key=lambda each: each["lead"])
    assert theirs["lead"] == "theirs"
    assert (mine["gross"], mine["billed"], mine["duplicate_savings"], mine["cap_savings"]) == (
        *("120.00", "100.00"),
        *("10.00", "10.00"),
    )
    assert (mine["customer_email"], mine["lead_type"]) == ("anna@example.com", MARKUP)
    assert mine["why"] == "12 actions: 10 billed, 1 above the cap, 1 duplicate."
    assert [each["lead"] for each in await rows(sam, "&partner=globex")] == ["theirs"]
    assert [each["lead"] for each in await rows(sam, "&action_type=call&engagement_level=low&source=ads")] == ["theirs"]
    assert await rows(sam, "&source=Ads") == []
    assert await rows(sam, "&outcome=returned") == []
    (own,) = await rows(pat, "")
    assert (own["lead"], "customer_email" in own) == ("mine", False)
    assert (await pat.client.get("/activity/export?kind=csv&partner=globex")).status_code == 404
    workbook = await sam.client.get("/activity/export?kind=xlsx&partner=acme")
    head, row = load_workbook(io.BytesIO(workbook.content)).active.values
    assert dict(zip(head, row, strict=True))["gross"] == 120
    assert (await sam.client.get("/activity/export?kind=pdf")).status_code == 400


async def test_a_person_has_months_with_the_cap_filling_up(
    browser_of: BrowserOf, office: Office, found: Json, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam = await browser_of("sam", Role.SALES)
    path = f"/people/{(await get(client, '/api/customers/anna'))['customer_id']}"
    acme = await sam.get(f"{path}?partner=acme&period=2024-04")
    assert "April 2024 with Acme Billed 100.00 EUR" in acme.text
    assert "The cap of 100.00 EUR 100.00 of 100.00" in acme.text
    assert "April 2024 with Globex Billed 2.00 EUR" in (await sam.get(f"{path}?partner=globex&period=2024-04")).text
    assert "anna@example.com" in acme.text
    assert (await sam.get("/people/nobody")).status == 404
    await make(client, "partners", external_id="tight", name="Tight", cap="15.00")
    await make(client, "products", external_id="tight tool", partner="tight", name="Tool")
    clicks = [action(f"Click {number}", at=f"2024-04-0{number}T10:00:00Z") for number in (1, 2, 3)]
    await bill(client, office.engine, office.policies, lead("tight", *clicks, product_id="tight tool"))
    tight = (await sam.get(f"{path}?partner=tight&period=2024-04")).text
    assert "15.00 used; crossed by Click 2 on 2 Apr 2024, 10:00 UTC" in tight
    monkeypatch.setattr(person, "MOST_ACTIONS", 3)
    first = await sam.get(f"{path}?partner=acme&period=2024-04")
    assert "The cap of 100.00 EUR 100.00 of 100.00" in first.text
    assert "These are the first 3;" in first.text
    assert [f"Click {number:02}" in first.text for number in range(4)] == [True, True, True, False]
    assert "These are the newest" not in first.text
    monkeypatch.setattr(person, "MONTHS", 2)
    cut = await sam.get(path)
    assert "These are the newest 2; the activity has what was before." in cut.text


async def test_an_action_is_held_released_and_returned_for_a_reason(
    browser_of: BrowserOf, office: Office, found: Json
) -> None:
    fay, sam = await browser_of("fay", Role.FINANCE), await browser_of("sam", Role.SALES)
    path, one = f"/activity/{found['id']}", found["actions"][3]["action_id"]
    form = (await fay.get(path)).filled(f"{path}/decide") | {"action": one}
    refused = await fay.send(f"{path}/decide", form | {"decision": "hold"})
    assert (refused.status, 'id="reason-error"' in refused.response.text) == (400, True)
    assert refused.filled(f"{path}/decide")["action"] == one
    forgotten = await fay.send(f"{path}/decide", form | {"reason": "x", "decision": "forget"})
    assert (forgotten.status, forgotten.filled(f"{path}/decide")["reason"]) == (400, "x")
    for decision, outcome in (("hold", "held"), ("release", "billed"), ("return", "returned")):
        done = await fay.follow(await fay.send(f"{path}/decide", form | {"decision": decision, "reason": MARKUP}))
        assert "<script>alert" not in done.response.text
        actions = (await get(office.client, "/leads/mine"))["actions"]
        assert {each["action_id"]: each["outcome"] for each in actions}[one] == outcome
        listed = (await fay.get("/activity?partner=acme")).text
        assert ("1 held. Held anna@ example.com" in listed) == (decision == "hold")
    theirs = (await get(office.client, "/leads/theirs", source="ads"))["id"]
    assert "Call · Low · 1 Apr 2024, 12:00 CEST" in (await fay.get(f"/activity/{theirs}")).text
    forged = (await sam.get(path)).form("/account/sign-out") | form | {"decision": "hold", "reason": "mine"}
    assert (await sam.send(f"{path}/decide", forged)).status == 403


async def test_the_search_leads_to_whatever_is_called_so(
    browser_of: BrowserOf,
    office: Office,
    found: Json,
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sam = await browser_of("sam", Role.SALES)
    issued = await office.issued(await office.make())
    partner = (await get(client, "/api/partners/acme"))["partner_id"]
    person = (await get(client, "/api/customers/anna"))["customer_id"]
    assert (await client.patch("/api/customers/anna", json={"name": "Anna Smith"})).is_success
    await make(client, "products", external_id="tool-2", partner="acme", name="Spanner")
    batch = await bill(client, office.engine, office.policies, lead("theirs too", source="ads"))
    (with_source,) = [each["id"] for each in (await get(client, "/leads"))["items"] if each["lead_id"] == "theirs too"]
    run = (await client.post("/api/billing-scheduler/process-monthly-billing", json={"dry_run": True})).json()
    for text, path in (
        (issued["number"].lower(), f"/bills/{issued['bill_id']}"),
        (issued["bill_id"], f"/bills/{issued['bill_id']}"),
        ("acme", f"/partners/{partner}"),
        ("widget", f"/partners/{partner}/products"),
        (" Anna@Example.com ", f"/people/{person}"),
        ("anna", f"/people/{person}"),
        ("mine", f"/activity/{found['id']}"),
        (found["actions"][0]["action_id"], f"/activity/{found['id']}"),
        ("ads/theirs too", f"/activity/{with_source}"),
        ("theirs too", f"/activity/{with_source}"),
        ("ANNA SMITH", f"/people/{person}"),
        ("spanner", f"/partners/{partner}/products"),
        (batch["batch_id"], f"/import/{batch['batch_id']}"),
        (run["run_id"], f"/runs/{run['run_id']}"),
    ):
        led = await sam.get("/search", params={"q": text})
        assert (led.status, led.response.headers.get("location")) == (303, path), text
    ada, pat = await browser_of("Ada Byron", Role.ADMIN), await browser_of("pat", Role.PARTNER, "acme")
    for text in ("sam@example.com", "SAM"):
        assert "/settings/people/" in (await ada.get("/search", params={"q": text})).response.headers["location"]
        assert "Nothing is called so." in (await sam.get("/search", params={"q": text})).text
    for text in ("Anna Smith", batch["batch_id"], run["run_id"]):
        assert "Nothing is called so." in (await pat.get("/search", params={"q": text})).text
    several = await sam.get("/search?q=e")
    assert (several.status, "Acme Partner" in several.text, "Globex Partner" in several.text) == (200, True, True)
    assert "There are more" not in several.text
    monkeypatch.setattr(search, "MOST_OF_A_KIND", 1)
    cut = await sam.get("/search?q=e")
    assert ("There are more: of each kind the first 1 are shown." in cut.text, "Globex" in cut.text) == (True, False)
    nothing = await sam.get("/search", params={"q": MARKUP})
    assert "Nothing is called so." in nothing.text
    assert "<script>alert" not in nothing.response.text


async def test_people_of_a_partner_see_only_their_own(
    browser_of: BrowserOf, office: Office, found: Json, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await office.issued(await office.make())
    pat, gus = [await browser_of(name, Role.PARTNER, of) for name, of in (("pat", "acme"), ("gus", "globex"))]
    home = await pat.get("/partner")
    assert "To be paid 120.00 EUR" in home.text
    assert "You saved 20.00: 10.00 duplicates, 10.00 above the cap." in home.text
    assert issued["number"] in home.text
    assert issued["number"] not in (await gus.get("/partner")).text
    partner = (await get(client, "/api/partners/acme"))["partner_id"]
    person = (await get(client, "/api/customers/anna"))["customer_id"]
    tabs = [f"/partners/{partner}{tab}" for tab in ("", "/terms", "/products", "/prices", "/usage", "/statement")]
    for path in (*tabs, f"/partners/{partner}/months/2024-04", f"/activity/{found['id']}"):
        seen = await pat.get(path)
        asking = {f"{path}/ask-return"} if path.startswith("/activity") else set()
        assert (seen.status, set(seen.forms)) == (200, {"/account/sign-out"} | asking), path
        assert "anna@example.com" not in seen.text, path
        assert (await gus.get(path)).status == 404, path
    assert "mine" in (await pat.get("/activity")).text
    assert "theirs" not in (await pat.get("/activity")).text
    assert (await pat.get("/activity?partner=globex")).status == 404
    monkeypatch.setattr(customer_months, "LEADS_LOOKED_AT", 0)  # as if thousands of newer leads were of others
    own = await pat.get(f"/people/{person}")
    assert "April 2024" in own.text
    assert ("globex" in own.text, "anna@example.com" in own.text, "anna" in own.text) == (False, False, True)
    for text in ("mine", "acme", "widget", issued["number"]):
        assert (await gus.get("/search", params={"q": text})).status == 200, text
    sam = await browser_of("sam", Role.SALES)
    assert (await sam.get("/partner")).response.headers["location"] == "/partners"
