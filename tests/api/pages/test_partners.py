"""Partners, their products, prices, usage, months and account as pages."""

import csv
import io
import re

import pytest

from api.pages import exports
from api.pages.partners import directory
from billing.roles import Role
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from tests.api.office import Office
from tests.api.pages.conftest import BrowserOf
from tests.api.world import bill, get, get_all, lead
from tests.people import new_person

MARKUP = "<script>alert(1)</script>&\"'"


@pytest.fixture
async def acme(office: Office) -> str:
    """The overview of acme, which was billed 10.00 in April."""
    await office.lead_in("2024-04")
    return f"/partners/{(await get(office.client, '/api/partners/acme'))['partner_id']}"


async def test_a_partner_is_found_and_created(browser_of: BrowserOf, office: Office) -> None:
    ada, sam = await browser_of("ada", Role.ADMIN), await browser_of("sam", Role.SALES)
    assert "Acme" in (await sam.get("/partners?q=ACM")).text
    assert "No partner has this in its name or id." in (await sam.get("/partners?q=nobody")).text
    assert "Create a partner" not in (await sam.get("/partners")).text
    assert (await sam.get("/partners/new")).status == 403
    form = (await ada.get("/partners/new")).filled("/partners/new") | {"external_id": "globex", "name": MARKUP}
    refused = await ada.send("/partners/new", form | {"currency": "Euros"})
    assert (refused.status, 'id="currency-error"' in refused.response.text) == (400, True)
    assert refused.filled("/partners/new")["name"] == MARKUP
    empty = await ada.send("/partners/new", form | {"external_id": "", "name": ""})
    assert "There is a problem Name is required. Own id is required." in empty.text
    created = await ada.follow(await ada.send("/partners/new", form))
    assert MARKUP in created.text
    assert "<script>alert" not in created.response.text
    made = await get(office.client, "/api/partners/globex")
    assert (made["name"], made["currency"], made["cap"]) == (MARKUP, "EUR", "100.00")


async def test_partners_are_sorted_by_links_which_hold_the_search(
    browser_of: BrowserOf, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "PER_PAGE", 1)
    monkeypatch.setattr(exports, "ROWS_AT_ONCE", 1)
    names = {"a-1": "berta", "a-2": "Anton", "b-3": "Caesar", "a-4": "Berta"}
    csm = await new_person(office.engine, "Cleo", Role.CUSTOMER_SUCCESS)
    for partner, name in names.items():
        made = {"external_id": partner, "name": name}
        assert (await office.client.post("/api/partners", json=made)).is_success
    for partner in ("a-4", "b-3"):
        assert (await office.client.patch(f"/api/partners/{partner}", json={"csm": str(csm.id)})).is_success
    async with transaction(office.engine) as connection:
        await connection.execute("UPDATE partners SET closed_through = 202404 WHERE external_id = 'a-2'")
    sam = await browser_of("sam", Role.SALES)
    for order, wanted in {
        "": "a-1 a-2 a-4",
        "-id": "a-4 a-2 a-1",
        "name": "a-2 a-1 a-4",
        "-name": "a-4 a-1 a-2",
        "-closed": "a-2 a-4 a-1",
        "closed": "a-1 a-4 a-2",
        "csm": "a-1 a-2 a-4",
        "-csm": "a-4 a-2 a-1",
    }.items():
        asked = f"?q=a-&order={order}" if order else "?q=a-"
        assert await sam.rows(f"/partners{asked}") == [f"/partners/{partner_uuid(each)}" for each in wanted.split()], (
            order
        )
        exported = await sam.client.get(f"/partners/export{asked}")
        assert [each["partner"] for each in csv.DictReader(io.StringIO(exported.text))] == wanted.split(), order
    text = (await sam.get("/partners?q=a-&order=-closed")).response.text
    head = '<th scope="col" aria-sort="descending"><a href="/partners?q=a-&amp;order=closed"'
    assert (head in text, text.count("aria-sort")) == (True, 1)
    assert '<input type="hidden" name="order" value="-closed">' in text
    assert (await sam.get("/partners?order=cap")).status == 400


async def test_the_billed_companies_are_customers_to_approval_apps(browser_of: BrowserOf, acme: str) -> None:
    sam = await browser_of("sam", Role.SALES)
    assert (await sam.get("/customers")).response.headers["location"] == "/partners"
    led = await sam.get("/customers/acme")
    assert led.response.headers["location"] == "/partners/acme"
    overview = await sam.follow(led)
    assert "April 2024" in overview.text
    assert f"{acme}/months/2024-04" in overview.response.text
    assert (await sam.get("/partners/nobody")).status == 404


async def test_a_person_is_created_and_their_leads_can_be_decided(browser_of: BrowserOf, office: Office) -> None:
    ada, sam = await browser_of("ada", Role.ADMIN), await browser_of("sam", Role.SALES)
    await bill(office.client, office.engine, office.policies, lead("early", customer_id="zoe/1"))
    path = "/people/new"
    assert f'{path}?external_id=zoe/1"' in (await ada.get("/quarantine")).response.text
    assert path not in (await sam.get("/quarantine")).response.text
    assert (await sam.get(path)).status == 403
    form = (await ada.get(f"{path}?external_id=zoe/1")).filled(path)
    assert form["external_id"] == "zoe/1"
    refused = await ada.send(path, form | {"name": MARKUP, "email": "zoe"})
    assert (refused.status, 'id="email-error"' in refused.response.text) == (400, True)
    assert refused.filled(path)["name"] == MARKUP
    led = await ada.send(path, form | {"name": MARKUP, "email": "zoe@example.com"})
    shown = await ada.follow(led)
    assert (shown.status, MARKUP in shown.text, "<script>alert" in shown.response.text) == (200, True, False)
    waiting = (await ada.get("/quarantine")).filled("/quarantine/retry")
    assert (await ada.send("/quarantine/retry", waiting | {"all": "1"})).status == 303
    await office.work()
    early = await get(office.client, "/leads/early")
    assert (early["state"], early["customer"]["external_id"]) == ("done", "zoe/1")
    assert "/people/new" in (await ada.get("/partners")).response.text


async def test_a_person_is_erased_by_whoever_types_their_id(browser_of: BrowserOf, office: Office) -> None:
    await office.lead_in("2024-04")
    ada, fay = await browser_of("ada", Role.ADMIN), await browser_of("fay", Role.FINANCE)
    path = f"/people/{(await get(office.client, '/api/customers/anna'))['customer_id']}"
    form = (await ada.get("/people/anna")).filled(f"{path}/erase")
    for typed in ("", "anna@example.com"):
        refused = await ada.send(f"{path}/erase", form | {"own_id": typed})
        assert (refused.status, refused.filled(f"{path}/erase")["own_id"]) == (400, typed)
        assert ('id="own_id-error"' in refused.response.text, "must be anna" in refused.text) == (True, True)
    before = await fay.get(path)
    assert (f"{path}/erase" in before.forms, "anna@example.com" in before.text) == (False, True)
    assert (await fay.send(f"{path}/erase", before.form("/account/sign-out") | {"own_id": "anna"})).status == 403
    led = await ada.send(f"{path}/erase", form | {"own_id": " anna "})
    waits = await ada.follow(led)
    assert ("This person is being erased" in waits.text, f"{path}/erase" in waits.forms) == (True, False)
    await office.work()
    for browser in (ada, fay):
        done = await browser.get(path)
        assert ("This person was erased" in done.text, "anna" in done.text) == (True, False)
        assert "April 2024 with Acme Billed 10.00 EUR" in done.text
    lines = await get_all(office.client, "/api/audit", what="customer.erased")
    assert [each["who"]["name"] for each in lines] == ["ada"]


async def test_a_product_is_created(browser_of: BrowserOf, office: Office, acme: str) -> None:
    ada, sam = await browser_of("ada", Role.ADMIN), await browser_of("sam", Role.SALES)
    path = f"{acme}/products"
    page = await ada.get(path)
    assert path not in (await sam.get(path)).forms
    form = page.filled(path) | {"external_id": "cloud", "name": MARKUP, "description": MARKUP}
    refused = await ada.send(path, form | {"external_id": "widget"})
    assert (refused.status, refused.filled(path)["description"]) == (409, MARKUP)
    created = await ada.follow(await ada.send(path, form))
    assert created.text.count(MARKUP) == 3
    assert "<script>alert" not in created.response.text
    assert (await get(office.client, "/api/products/cloud"))["name"] == MARKUP


async def test_a_price_is_shown_before_it_is_set(browser_of: BrowserOf, office: Office, acme: str) -> None:
    ada = await browser_of("ada", Role.ADMIN)
    path = f"{acme}/prices"
    page = await ada.get(path)
    assert "Set the price" not in page.response.text
    for field, text in (("amount", "cheap"), ("product", "nothing"), ("effective_from", "soon")):
        refused = await ada.send(path, page.filled(path) | {"amount": "4.00", field: text})
        assert 400 <= refused.status < 500, field
        assert refused.filled(path)[field] == text
    form = page.filled(path) | {"amount": "4.00", "product": "widget", "engagement_level": "High"}
    led = await ada.send(path, form)
    assert "Look again" in (await ada.follow(led)).text
    await office.work()
    shown = await ada.follow(led)
    assert "−6.00 EUR" in shown.text
    assert await billed(office) == "10.00"
    seen = {"shown": shown.response.text.partition('name="shown" value="')[2].partition('"')[0].replace("&amp;", "&")}
    other = await ada.send(path, shown.filled(path) | seen | {"amount": "5.00"})
    assert "preview=" in other.response.headers["location"]
    assert await rules(office) == []
    done = await ada.follow(await ada.send(path, shown.filled(path) | seen))
    assert "The price is set" in done.text
    assert await rules(office) == ["4.00"]
    await office.work()
    assert await billed(office) == "4.00"
    (rule,) = [each for each in done.forms if each.endswith("/end")]
    assert (await ada.send(rule, done.form(rule))).status == 303
    assert await rules(office) == []


async def test_usage_is_entered_once(browser_of: BrowserOf, office: Office, acme: str) -> None:
    fay, sam = await browser_of("fay", Role.FINANCE), await browser_of("sam", Role.SALES)
    path = f"{acme}/usage"
    page = await fay.get(path)
    assert "No usage was reported yet." in page.text
    form = page.filled(path) | {"period": "2024-04", "source": "api", "key": "calls", "units": "1,500"}
    refused = await fay.send(path, form | {"units": "many"})
    assert (refused.status, refused.filled(path)["units"]) == (400, "many")
    assert 'id="units-error"' in refused.response.text
    for _ in range(2):
        assert (await fay.send(path, form)).status == 303
    assert "api 1,500" in (await sam.get(path)).text
    twice = await fay.send(path, form | {"units": "7"})
    assert (twice.status, twice.filled(path)["units"]) == (409, "7")
    assert (await fay.send(path, form | {"units": "7", "replace": "yes"})).status == 303
    assert "api 7" in (await sam.get(path)).text
    assert (await sam.send(path, form | (await sam.get(path)).form("/account/sign-out"))).status == 403


async def test_a_month_is_closed_and_reopened_by_its_name_only(
    browser_of: BrowserOf, office: Office, acme: str
) -> None:
    fay, sam = await browser_of("fay", Role.FINANCE), await browser_of("sam", Role.SALES)
    path = f"{acme}/months/2024-04"
    page = await fay.get(path)
    assert "Nothing waits, nothing is held: the month can be closed." in page.text
    assert set((await sam.get(path)).forms) == {"/account/sign-out"}
    for form, field, through in (("close", "month", "2024-04"), ("reopen", "again", None)):
        page = await fay.get(path)
        before = (await get(office.client, "/api/partners/acme"))["closed_through"]
        for wrong in ("", "2024-03", "April"):
            refused = await fay.send(f"{path}/{form}", page.filled(f"{path}/{form}") | {field: wrong})
            assert (refused.status, refused.filled(f"{path}/{form}")[field]) == (400, wrong)
            assert "must be 2024-04" in refused.text
        await office.work()
        assert (await get(office.client, "/api/partners/acme"))["closed_through"] == before
        assert (await fay.send(f"{path}/{form}", page.filled(f"{path}/{form}") | {field: " 2024-04 "})).status == 303
        await office.work()
        assert (await get(office.client, "/api/partners/acme"))["closed_through"] == through
    (one,) = (await get(office.client, "/leads/lead-2024-04"))["actions"]
    assert (await office.client.post(f"/api/actions/{one['action_id']}/hold", json={"reason": "A robot?"})).is_success
    assert '<a href="/held?partner=acme&amp;period=2024-04">1 action is held</a>' in (await fay.get(path)).response.text
    forged = (await sam.get(path)).form("/account/sign-out") | {"month": "2024-04"}
    assert (await sam.send(f"{path}/close", forged)).status == 403


async def test_a_month_is_adjusted_and_an_adjustment_is_taken_back(
    browser_of: BrowserOf, office: Office, acme: str
) -> None:
    fay, sam = await browser_of("fay", Role.FINANCE), await browser_of("sam", Role.SALES)
    path, form = f"{acme}/months/2024-04", f"{acme}/months/2024-04/adjustments"
    draft = f"/bills/{(await office.make())['bill_id']}"
    assert f'href="{path}#adjustments"' in (await fay.get(draft)).response.text
    assert f'href="{path}#adjustments"' not in (await sam.get(draft)).response.text
    assert form not in (await sam.get(path)).forms
    typed = (await fay.get(path)).filled(form) | {"text": "Goodwill", "amount": "−2,50", "reason": MARKUP}
    for field, wrong in (("amount", "much"), ("amount", "0.00"), ("text", ""), ("tax.rate", "a lot")):
        refused = await fay.send(form, typed | {"tax.category": "S", "tax.rate": "7.00"} | {field: wrong})
        assert (refused.status, refused.filled(form)[field]) == (400, wrong)
        assert f'id="{field}-error"' in refused.response.text
    for _ in range(2):
        led = await fay.send(form, typed)
    adjusted = await fay.follow(led)
    assert ("Goodwill" in adjusted.text, MARKUP in adjusted.text, "−2.50" in adjusted.text) == (True, True, True)
    assert (await office.live("2024-04"))["net"] == "7.50"
    again = adjusted.filled(form) | {"text": "Set-up", "amount": "100.00", "reason": "agreed"}
    await fay.send(form, again | {"tax.category": "S", "tax.rate": "7,00"})
    await fay.send(form, again | {"tax.category": "none"})
    live = await office.live("2024-04")
    assert [(each["net"], each["tax_rate"]) for each in live["lines"] if each["text"] == "Set-up"] == [
        ("100.00", "7.00"),
        ("100.00", None),
    ]
    first = (await fay.get(path)).forms[f"{form}/take-back"][0]
    assert f"{form}/take-back" not in (await sam.get(path)).forms
    assert (await fay.send(f"{form}/take-back", first | {"adjustment": "nothing"})).status == 404
    assert (await fay.send(f"{form}/take-back", first)).status == 303
    assert (await office.live("2024-04"))["net"] == "210.00"
    await office.issued(await office.live("2024-04"))
    issued = await fay.get(path)
    assert (form in issued.forms, "Goodwill" in issued.text, issued.text.count("Set-up")) == (False, False, 2)
    late = await fay.send(form, again | {"amount": "1.00"})
    assert (late.status, "a credit note or a later period corrects it" in late.text) == (409, True)


async def test_the_figures_of_a_month_and_of_the_account(browser_of: BrowserOf, office: Office, acme: str) -> None:
    sam = await browser_of("sam", Role.SALES)
    issued = await office.issued(await office.make())
    month = await sam.get(f"{acme}/months/2024-04")
    assert "Net 10.00 EUR Billed 10.00 Credited 0.00 Gross 10.00 Saved 0.00" in month.text
    assert issued["number"] in month.text
    (pdf,) = re.findall(r'href="(/billing/reports/[^"]+format=pdf)"', month.response.text)
    assert (await sam.client.get(pdf)).content.startswith(b"%PDF")
    overview = await sam.get(acme)
    assert "Open 12.00 EUR" in overview.text
    statement = await sam.get(f"{acme}/statement?start={issued['issued_on']}&end={issued['issued_on']}")
    assert f"{issued['number']} Bill" in statement.text
    assert "+12.00 12.00 Closing balance" in statement.text
    nothing = await sam.get(f"{acme}/statement?start=2020-01-01&end=2020-12-31")
    assert "Nothing was booked in these days." in nothing.text


async def test_r14_each_view_of_a_month_says_what_is_credited(browser_of: BrowserOf, office: Office, acme: str) -> None:
    """Failed before: customers of a month, a person's month and the partner's own page said what is billed only."""
    sam, pat = await browser_of("sam", Role.SALES), await browser_of("pat", Role.PARTNER, "acme")
    await office.issued(await office.make())
    (listed,) = (await get(office.client, "/leads", partner="acme"))["items"]
    sold = await get(office.client, f"/leads/{listed['id']}")
    (returned,) = sold["actions"]
    taken = await office.client.post(f"/api/actions/{returned['action_id']}/return", json={"reason": "a mistake"})
    assert taken.json()["credited_in"] == "2024-05"
    month = await sam.get(f"{acme}/months/2024-05")
    assert "Net −10.00 EUR Billed 0.00 Credited 10.00" in month.text
    customers = month.text.partition("Customers Customer")[2]
    assert " Billed Credited " in customers
    assert " 0 0.00 0.00 0.00 10.00" in customers
    person = await sam.get(f"/people/{sold['customer']['customer_id']}?partner=acme&period=2024-05")
    assert "May 2024 with Acme Billed 0.00 EUR Credited 10.00 Net −10.00 Gross 0.00" in person.text
    assert "10.00 are credited, which leaves −10.00." in (await pat.get("/partner")).text


async def billed(office: Office) -> str:
    """What acme is billed for April."""
    report = (await get(office.client, "/billing/reports", partner="acme", period="2024-04"))["items"][0]
    amount: str = report["totals"]["billed"]
    return amount


async def rules(office: Office) -> list[str]:
    """The amounts of acme's own rules."""
    found = await get_all(office.client, "/api/rate-cards", partner="acme")
    return [each["amount"] for each in found if each["partner"]]
