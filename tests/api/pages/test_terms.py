"""The terms of a partner as a page: each form sends only what was touched, and keeps what was refused."""

import httpx

from billing.roles import Role
from tests.api.office import Office
from tests.api.pages.conftest import BrowserOf
from tests.api.world import get

PATH = "/partners/acme/terms"


async def action_of(client: httpx.AsyncClient) -> str:
    """Where the forms of acme are sent to."""
    return f"/partners/{(await get(client, '/api/partners/acme'))['partner_id']}/terms"


async def test_two_tabs_do_not_undo_each_other(browser_of: BrowserOf, office: Office) -> None:
    fay = await browser_of("fay", Role.FINANCE)
    action = await action_of(office.client)
    one, other = [(await fay.get(PATH)).filled(action, "address") for _ in range(2)]
    assert one["address"] == "2 Low Street\r\nBerlin"
    assert (await fay.send(action, one | {"address": "3 High Street\r\nBerlin", "payment_days": "30"})).status == 303
    assert (await fay.send(action, other | {"po_number": "PO 7", "tax.rate": "19.00"})).status == 303
    terms = await get(office.client, "/api/partners/acme")
    assert (terms["address"], terms["payment_days"], terms["po_number"]) == ("3 High Street\nBerlin", 30, "PO 7")
    assert terms["tax"] == {"category": "S", "rate": "19.00", "note": None}


async def test_terms_are_read_in_words_with_their_currency_and_units(browser_of: BrowserOf, office: Office) -> None:
    """Failed before: they were shown as the API writes them, 0.125000 and 20.00."""
    terms = {
        "overage_unit_cost": "0.125000",
        "monthly_api_limit": 2000,
        "return_days": 1,
        "tax": {"category": "S", "rate": "20.00"},
        "start_date": "2024-01-01",
        "dedup_window": 30,
        "preferences": {"language": "en-GB"},
    }
    assert (await office.client.patch("/api/partners/acme", json=terms)).is_success
    sam = await browser_of("sam", Role.SALES)
    shown = (await sam.get(PATH)).text
    for text in (
        "Tax rate 20%",
        "Units that cost nothing 2,000 units",
        "Cost of each unit above 0.125 EUR",
        "Days for returns 1 day",
        "Start of the contract 1 January 2024",
        "Cap 100.00 EUR",
        "The cap counts Within a month",
        "Language of bills English (United Kingdom)",
        "Send an issued bill at once No",
        "Duplicates within 30 days",
        "Not set: Approvals, First month with a bill, ",
    ):
        assert text in shown, text
    fay = await browser_of("fay", Role.FINANCE)
    typed = (await fay.get(PATH)).filled(await action_of(office.client), "address")
    assert (typed["overage_unit_cost"], typed["tax.rate"], typed["monthly_api_limit"]) == ("0.125000", "20.00", "2000")


async def test_nothing_is_sent_of_a_form_that_nobody_touched(browser_of: BrowserOf, office: Office) -> None:
    ada = await browser_of("ada", Role.ADMIN)
    action = await action_of(office.client)
    page = await ada.get(PATH)
    before = await get(office.client, "/api/partners/acme")
    for having in ("address", "cap", "billing_from"):
        refused = await ada.send(action, page.filled(action, having))
        assert (refused.status, "Nothing was changed: change a field first." in refused.text) == (400, True), having
    assert await get(office.client, "/api/partners/acme") == before


async def test_what_is_refused_stays_typed_with_the_error_beside_it(browser_of: BrowserOf, office: Office) -> None:
    ada = await browser_of("ada", Role.ADMIN)
    action = await action_of(office.client)
    page = await ada.get(PATH)
    for having, name, text in (
        ("address", "tax.rate", "a fifth"),
        ("address", "payment_days", "soon"),
        ("cap", "cap", "-1"),
        ("cap", "timezone", "Europe/Nowhere"),
        ("billing_from", "preferences.approvals", "sales, if they like"),
        ("billing_from", "preferences.approvals", "sales above much"),
    ):
        refused = await ada.send(action, page.filled(action, having) | {name: text})
        assert refused.status == 400, (name, refused.text)
        assert refused.filled(action, having)[name] == text
        assert f'id="{name}-error"' in refused.response.text, name
        assert f'<a href="#{name}">' in refused.response.text, name


async def test_a_change_is_told_in_the_history(browser_of: BrowserOf, office: Office) -> None:
    ada = await browser_of("ada", Role.ADMIN)
    action = await action_of(office.client)
    await office.lead_in("2024-04")
    page = await ada.get(PATH)
    assert "These terms count for every month." in page.text
    later = page.filled(action, "cap") | {"cap": "250.00", "dedup_window": "30", "effective_period": "2024-05"}
    changed = await ada.follow(await ada.send(action, later))
    assert "The terms are changed" in changed.text
    assert "From May 2024" in changed.text
    assert "Cap 100.00 EUR 250.00 EUR" in changed.text
    assert "Duplicates within For ever 30 days" in changed.text
    approvals = changed.filled(action, "billing_from") | {"preferences.approvals": "csm\r\nsales above 1000.00"}
    assert (await ada.send(action, approvals)).status == 303
    assert "Customer success manager Sales above 1,000.00 EUR" in (await ada.get(PATH)).text
    found = await get(office.client, "/api/partners/acme")
    assert found["preferences"]["approvals"] == [{"by": "csm", "above": None}, {"by": "sales", "above": "1000.00"}]


async def test_each_role_is_given_its_own_forms(browser_of: BrowserOf, office: Office) -> None:
    action = await action_of(office.client)
    sam, fay = await browser_of("sam", Role.SALES), await browser_of("fay", Role.FINANCE)
    pat = await browser_of("pat", Role.PARTNER, "acme")
    for browser in (sam, pat):
        page = await browser.get(PATH)
        assert (page.status, action in page.forms, "2 Low Street" in page.text) == (200, False, True)
        forged = page.form("/account/sign-out") | {"was-po_number": "", "po_number": "mine"}
        assert (await browser.send(action, forged)).status == 403
    forms = await fay.get(PATH)
    forged = forms.filled(action, "address") | {"was-billing_from": "", "billing_from": "2024-01"}
    assert (await fay.send(action, forged)).status == 403
