"""The pages of bills: the same rules as those of the API, in words for people."""

import csv
import html
import io
import re
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import pytest

from api.pages import bills as bills_page
from api.pages import exports
from billing.roles import Role
from db.bills import records
from db.bills.filters import BillFilter
from tests.api.office import Office
from tests.api.pages.browser import Browser
from tests.api.pages.conftest import BrowserOf
from tests.api.world import action, bill, get, get_all, lead


async def test_two_people_at_once_one_wins_and_the_other_is_told_who(browser_of: BrowserOf, office: Office) -> None:
    sam, sue = await browser_of("sam", Role.SALES), await browser_of("sue", Role.SALES)
    await office.lead_in("2024-04")
    pending = await office.moved(await office.make(), "submit")
    path = f"/bills/{pending['bill_id']}"
    forms = [(await each.get(path)).form(f"{path}/move", move="approve") for each in (sam, sue)]
    assert (await sam.send(f"{path}/move", forms[0])).status == 303
    late = await sue.send(f"{path}/move", forms[1])
    assert late.status == 409
    assert "This page shows the bill as it is now: sam approved it" in late.text
    assert "The bill is approved, by sam" in late.text
    twice = await sam.send(f"{path}/move", forms[0])
    assert twice.status == 303
    undo = (await sam.get(path)).form(f"{path}/move", move="withdraw")
    assert "Your approval is withdrawn." in (await sam.follow(await sam.send(f"{path}/move", undo))).text
    history = await get_all(office.client, f"/api{path}/actions")
    assert [each["move"] for each in history] == ["create", "submit", "approve", "withdraw"]


async def test_a_bill_that_was_made_anew_is_not_approved_as_it_was_seen(browser_of: BrowserOf, office: Office) -> None:
    sam = await browser_of("sam", Role.SALES)
    await office.lead_in("2024-04")
    draft = await office.make()
    pending = await office.moved(draft, "submit")
    path = f"/bills/{pending['bill_id']}"
    form = (await sam.get(path)).form(f"{path}/move", move="approve")
    await office.moved(pending, "recall")
    body = {"partner": "acme", "period": "2024-04", "text": "Fair", "amount": "5.00", "reason": "agreed"}
    assert (await office.client.post("/api/adjustments", json=body)).status_code == 201
    await office.moved(await office.live("2024-04"), "submit")
    late = await sam.send(f"{path}/move", form)
    assert (late.status, "The bill has changed since you looked at it." in late.text) == (409, True)
    assert "18.00" in late.text
    assert (await office.live("2024-04"))["state"] == "pending"


async def test_many_are_approved_at_once_and_each_refusal_is_said(browser_of: BrowserOf, office: Office) -> None:
    sam = await browser_of("sam", Role.SALES)
    await office.lead_in("2024-03", "2024-04")
    march = await office.moved(await office.make("2024-03"), "submit")
    await office.moved(await office.make("2024-04"), "submit")
    listed = await sam.get("/bills?state=pending")
    form = listed.form("/bills")
    chosen = [f"{each['bill_id']}:{each['digest']}" for each in (march, await office.live("2024-04"))]
    assert all(each in listed.response.text for each in chosen)
    assert (await sam.send("/bills", form)).status == 400
    partly = await sam.send("/bills", form | {"bill": [chosen[0], chosen[1][:-4] + "0000"]})
    assert (partly.status, "1 of 2 bills approved, 12.00 EUR in all." in partly.text) == (409, True)
    led = await sam.send("/bills", form | {"bill": [chosen[1]]})
    assert "1 of 1 bills approved, 12.00 EUR in all." in (await sam.follow(led)).text
    assert [(await office.live(month))["state"] for month in ("2024-03", "2024-04")] == ["approved", "approved"]
    finance = await browser_of("fay", Role.FINANCE)
    assert "Approve the chosen bills" not in (await finance.get("/bills?state=pending")).text


async def test_whoever_issues_many_bills_says_how_many(browser_of: BrowserOf, office: Office) -> None:
    await office.lead_in("2024-03")
    await office.lead_in("2024-04")
    chosen = []
    sam = await office.person("sam", Role.SALES)
    for month in ("2024-03", "2024-04"):
        bill = await office.moved(await office.moved(await office.make(month), "submit"), "approve", sam)
        chosen.append(f"{bill['bill_id']}:{bill['digest']}")
    fay = await browser_of("fay", Role.FINANCE)
    form = (await fay.get("/bills?state=approved&partner=acme")).form("/bills") | {"bill": chosen}
    refused = await fay.send("/bills", form | {"confirmed": "1"})
    assert (refused.status, "must be 2" in refused.text, refused.response.text.count(" checked ")) == (400, True, 2)
    assert (await office.live("2024-04"))["state"] == "approved"
    led = await fay.send("/bills", form | {"confirmed": "2"})
    assert led.response.headers["location"] == "/bills?state=approved&partner=acme"
    assert "2 of 2 bills issued, 24.00 EUR in all." in (await fay.follow(led)).text


async def test_exactly_the_bills_that_are_filtered_are_exported(
    browser_of: BrowserOf, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ROWS_AT_ONCE", 1)
    await office.lead_in("2024-03")
    await office.lead_in("2024-04")
    issued, draft = await office.issued(await office.make("2024-03")), await office.make("2024-04")
    fay, pat = await browser_of("fay", Role.FINANCE), await browser_of("pat", Role.PARTNER, "acme")

    async def rows(browser: Browser, query: str) -> list[dict[str, str]]:
        answer = await browser.client.get(f"/bills/export?kind=csv{query}")
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.text)))

    assert "/bills/export?kind=xlsx&amp;state=draft&amp;partner=acme" in (
        (await fay.get("/bills?state=draft&partner=acme")).response.text
    )
    assert [each["bill_id"] for each in await rows(fay, "")] == [draft["bill_id"], issued["bill_id"]]
    assert [each["period"] for each in await rows(fay, "&state=draft")] == ["2024-04"]
    assert [each["period"] for each in await rows(fay, "&period=2024-03")] == ["2024-03"]
    assert [each["bill_id"] for each in await rows(fay, "&state=mine")] == [draft["bill_id"]]
    (own,) = await rows(pat, "")
    assert (own["number"], own["gross"], own["open"], own["currency"]) == ("ACME-0001", "12.00", "12.00", "EUR")
    assert await rows(pat, "&state=draft") == []


async def test_bills_are_sorted_by_links_which_hold_all_that_was_asked_for(
    browser_of: BrowserOf, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(bills_page, "PER_PAGE", 1)
    await office.lead_in("2024-02", "2024-03", "2024-04")
    march_only = {"partner": "acme", "period": "2024-03", "text": "More", "amount": "5.00", "reason": "agreed"}
    assert (await office.client.post("/api/adjustments", json=march_only)).status_code == 201
    february, march = [await office.issued(await office.make(month)) for month in ("2024-02", "2024-03")]
    april = await office.make("2024-04")
    fay = await browser_of("fay", Role.FINANCE)
    wanted = {
        "": [april, march, february],
        "created": [february, march, april],
        "-gross": [march, *sorted([february, april], key=lambda each: UUID(each["bill_id"]), reverse=True)],
        "-open": [march, february, april],
        "-due": [april, *sorted([february, march], key=lambda each: UUID(each["bill_id"]), reverse=True)],
    }

    for order, bills in wanted.items():
        ids = [each["bill_id"] for each in bills]
        assert await fay.rows(f"/bills?order={order}" if order else "/bills") == [f"/bills/{each}" for each in ids]
        exported = await fay.client.get(f"/bills/export?order={order}" if order else "/bills/export")
        assert [each["bill_id"] for each in csv.DictReader(io.StringIO(exported.text))] == ids, order
        answered = await office.client.get("/api/bills", params={"order": order} if order else {})
        assert [each["bill_id"] for each in answered.json()["items"]] == ids, order

    text = (await fay.get("/bills?state=issued&partner=acme&order=-gross")).response.text
    assert re.findall(r'<th scope="col" class="number" aria-sort="([a-z]+)"><a href="([^"]+)"[^>]*>Gross', text) == [
        ("descending", "/bills?state=issued&amp;partner=acme&amp;order=gross")
    ]
    assert "sorted by largest gross, sort by smallest gross" in text
    assert text.count("aria-sort") == 1
    due = "/bills?state=issued&amp;partner=acme&amp;order=due"
    assert text.count(f'href="{due}"') == 2  # the head of the column, and a line for phones, which show no heads
    for link in (
        "/bills?state=issued&amp;partner=acme",  # as usual
        "/bills?partner=acme&amp;order=-gross",  # another stage
        "/bills/export?kind=xlsx&amp;state=issued&amp;partner=acme&amp;order=-gross",
    ):
        assert f'href="{link}"' in text, link
    assert '<input type="hidden" name="order" value="-gross">' in text  # of the filters
    assert "/bills?state=draft&amp;partner=acme&amp;order" not in (
        (await fay.get("/bills?state=issued&partner=acme&order=due")).response.text
    )  # where no bill is due


async def test_an_order_that_is_none_is_refused(browser_of: BrowserOf, office: Office) -> None:
    fay = await browser_of("fay", Role.FINANCE)
    refused = await fay.get("/bills?order=digest")
    assert (refused.status, "<h1>" in refused.response.text) == (400, True)
    assert (await fay.get("/bills/export?order=open")).status == 400
    assert (await office.client.get("/api/bills", params={"order": "-digest"})).status_code == 400
    of_another = (await office.client.get("/api/bills", params={"order": "-gross", "after": "WyJhIiwiYiJd"})).json()
    assert of_another["errors"][0]["pointer"] == "query:after"
    sam = await browser_of("sam", Role.SALES)
    await office.lead_in("2024-04")
    pending = await office.moved(await office.make(), "submit")
    form = (await sam.get("/bills?state=pending&order=-gross")).form("/bills")
    assert form["order"] == "-gross"
    chosen = {"bill": f"{pending['bill_id']}:{pending['digest']}"}
    assert "The list cannot be sorted so." in (await sam.send("/bills", form | {"order": "digest"})).text
    led = await sam.send("/bills", form | chosen)
    assert led.response.headers["location"] == "/bills?state=pending&order=-gross"


async def test_each_tab_has_its_count_which_stops_somewhere(
    browser_of: BrowserOf, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.lead_in("2024-03", "2024-04")
    await office.issued(await office.make("2024-03"))
    await office.make("2024-04")
    fay, pat = await browser_of("fay", Role.FINANCE), await browser_of("pat", Role.PARTNER, "acme")

    async def counts(browser: Browser) -> dict[str, str]:
        text = (await browser.get("/bills")).response.text
        return dict(re.findall(r'>([^<>]+)<span class="count">([^<]+)</span>', text))

    assert await counts(fay) == {"For you": "1", "Draft": "1", "To be paid": "1", "All": "2"}
    assert await counts(pat) == {"To be paid": "1", "All": "1"}
    for browser, query, heads in (
        (fay, "", ["Partner", "State", "Month", "Number", "Gross (EUR)", "Open (EUR)", "Due"]),
        (fay, "?state=draft", ["Choose", "Partner", "State", "Month", "Gross (EUR)"]),
        (pat, "", ["Month", "State", "Number", "Gross (EUR)", "Open (EUR)", "Due"]),
    ):
        found = re.findall(
            r'<th scope="col"[^>]*>(?:<[^>]+>)?([^<]+)', (await browser.get(f"/bills{query}")).response.text
        )
        assert found == heads, query
    paid = {"external_id": "p1", "partner": "acme", "amount": "12.00", "paid_on": "2024-05-20", "reference": "SEPA"}
    assert (await office.client.post("/api/payments", json=paid)).status_code == 201
    assert await counts(pat) == {"Paid": "1", "All": "1"}
    looked_for: list[bool] = []
    count_all = records.counts

    async def noted(connection: asyncpg.Connection, wanted: Sequence[BillFilter]) -> list[int]:
        looked_for.append(any(each.waiting_for for each in wanted))
        return await count_all(connection, wanted)

    monkeypatch.setattr(records, "counts", noted)
    for path in ("/bills?state=mine", "/bills", "/bills?state=mine&period=2024-04"):
        assert 'For you<span class="count">1</span>' in (await fay.get(path)).response.text, path
    assert looked_for == [False, True, True]  # what a list shows as a whole is not looked for once more
    monkeypatch.setattr(records, "MOST_COUNTED", 1)
    assert await counts(fay) == {"For you": "1", "Draft": "1", "Paid": "1", "All": "1+"}


async def test_an_admin_approves_with_a_comment_only(browser_of: BrowserOf, office: Office) -> None:
    ada = await browser_of("ada", Role.ADMIN)
    await office.lead_in("2024-04")
    pending = await office.moved(await office.make(), "submit")
    path = f"/bills/{pending['bill_id']}"
    form = (await ada.get(path)).form(f"{path}/move", move="approve")
    refused = await ada.send(f"{path}/move", form)
    assert (refused.status, "Comment is missing: an approval of an Admin overrides" in refused.text) == (400, True)
    assert (await ada.send(f"{path}/move", form | {"comment": "The CSM is ill."})).status == 303
    reject = (await ada.get(path)).form(f"{path}/move", move="reject")
    assert (await ada.send(f"{path}/move", reject | {"reason": "A price is wrong."})).status == 303
    text = (await ada.get(path)).text
    assert "Approvals No approval stands. Submitted again, it is approved anew." in text


async def test_an_issued_bill_is_paid_disputed_credited_and_cancelled(browser_of: BrowserOf, office: Office) -> None:
    await office.lead_in("2024-04")
    issued = await office.issued(await office.make())
    path = f"/bills/{issued['bill_id']}"
    fay = await browser_of("fay", Role.FINANCE)
    page = await fay.get(path)
    assert "A credit note over all that is left, 12.00 EUR with tax, is made as a draft." in page.text
    assert "twice" not in page.text
    typed = page.form(f"{path}/payment") | {"amount": "2.00", "paid_on": "2024-05-20", "reference": "SEPA 1"}
    for _ in range(2):  # the same form twice
        assert (await fay.send(f"{path}/payment", typed)).status == 303
    assert (await get(office.client, f"/api{path}"))["open"] == "10.00"
    paid = await fay.get(path)
    undo = next(each for each in paid.forms[f"{path}/payment/reverse"]) | {"reason": "It was another partner's."}
    for _ in range(2):
        assert (await fay.send(f"{path}/payment/reverse", undo)).status == 303
    assert (await get(office.client, f"/api{path}"))["open"] == "12.00"
    await _sent(fay, path, "dispute", page.form(f"{path}/dispute") | {"reason": "Two leads are ours."})
    assert "Two leads are ours." in (await fay.get(path)).text
    refused = await fay.send(
        f"{path}/credit-note", page.form(f"{path}/credit-note") | {"line-1": "99.00", "reason": "x"}
    )
    assert (refused.status, "Line 1 of the bill has 10.00 left to credit" in refused.text) == (409, True)
    cancel = page.form(f"{path}/cancel") | {"reason": "Wrong partner."}
    wrong = await fay.send(f"{path}/cancel", cancel | {"number": "ACME-0009"})
    assert (wrong.status, "must be ACME-0001" in wrong.text) == (400, True)
    returned = await office.client.post("/api/returns", json={"leads": ["lead-2024-04"], "reason": "invalid"})
    assert returned.json()["items"][0]["state"] == "returned"
    twice = "10.00 EUR of it, before tax, other bills credit already, for returned actions."
    assert twice in (await fay.get(path)).text
    led, again = [await fay.send(f"{path}/cancel", cancel | {"number": "ACME-0001"}) for _ in range(2)]
    assert led.response.headers["location"] == again.response.headers["location"]
    assert len(await get_all(office.client, "/api/bills", kind="credit_note")) == 1
    note = await fay.follow(led)
    assert "It takes back from ACME-0001 : Wrong partner." in note.text
    assert f"It cancels the bill. {twice}" in note.text


async def test_amounts_are_shown_and_typed_as_the_reader_writes_them(browser_of: BrowserOf, office: Office) -> None:
    """Failed before: what the page itself said to type, 12,00, was refused, and a payment of 2,50 was one of 250.00."""
    await office.lead_in("2024-04")
    sam = await office.person("sam", Role.SALES)
    bill = await office.moved(await office.moved(await office.make(), "submit"), "approve", sam)
    path = f"/bills/{bill['bill_id']}"
    fay = await browser_of("fay", Role.FINANCE)
    fay.client.headers["Accept-Language"] = "de"
    page = await fay.get(path)
    assert "Type 12,00." in page.text
    issue = page.form(f"{path}/move", move="issue")
    refused = await fay.send(f"{path}/move", issue | {"confirmed": "1200"})
    assert (refused.status, "Gross amount must be 12,00." in refused.text) == (400, True)
    assert (await fay.send(f"{path}/move", issue | {"confirmed": "12,00"})).status == 303
    page = await fay.get(path)
    await _sent(
        fay,
        path,
        "payment",
        page.form(f"{path}/payment") | {"amount": "2,50", "paid_on": "2024-05-20", "reference": "x"},
    )
    assert (await get(office.client, f"/api{path}"))["open"] == "9.50"
    note = page.form(f"{path}/credit-note") | {"line-1": "1,50", "reason": "Fair"}
    assert "1,80" in (await fay.follow(await fay.send(f"{path}/credit-note", note))).text
    of_all = await fay.get("/bills")
    assert "12,00 9,50" in of_all.text
    of_lead = await fay.get(f"/activity/{(await get(office.client, '/leads/lead-2024-04'))['id']}")
    assert "Billed in full: 10,00 EUR by the rate for High; 10,00 of the cap of 100,00 EUR" in of_lead.text
    assert (await office.client.patch("/api/partners/acme", json={"preferences": {"language": "en-GB"}})).is_success
    for about_it in (path, "/bills?partner=acme", "/activity?partner=acme"):
        shown = (await fay.get(about_it)).text
        assert ("10.00" in shown or "12.00" in shown, "12,00" in shown, "10,00" in shown) == (True, False, False)
    assert "12,00 9,50" in (await fay.get("/bills")).text


async def test_only_the_form_that_was_refused_keeps_what_was_typed(browser_of: BrowserOf, office: Office) -> None:
    """Failed before: the reason stood in every form of the page, and the summary led to a field that was not there."""
    await office.lead_in("2024-04")
    path = f"/bills/{(await office.issued(await office.make()))['bill_id']}"
    fay = await browser_of("fay", Role.FINANCE)
    page = await fay.get(path)
    for name, fields, wrong in (
        ("cancel", {"number": "ACME-0009", "reason": "typed here"}, "cancel-number"),
        ("cancel", {"number": "ACME-0001", "reason": ""}, "cancel-reason"),
        ("credit-note", {"line-1": "much", "reason": "typed here"}, "credit-line-1"),
        ("dispute", {"reason": ""}, "dispute-reason"),
        ("write-off", {"confirmed": "1.00", "reason": "typed here"}, "write-off-confirmed"),
        ("payment", {"amount": "much", "paid_on": "2024-05-20", "reference": "typed here"}, "amount"),
        ("payment", {"amount": "1.00", "paid_on": "soon", "reference": "typed here"}, "paid_on"),
    ):
        refused = await fay.send(f"{path}/{name}", page.form(f"{path}/{name}") | fields)
        text = refused.response.text
        assert (refused.status, re.findall('role="alert".*?href="#([^"]+)"', text, re.DOTALL)) == (400, [wrong]), name
        assert (text.count(f'id="{wrong}"'), f'id="{wrong}-error"' in text) == (1, True), name
        assert text.count("typed here") == list(fields.values()).count("typed here"), name
        assert fields.items() <= refused.filled(f"{path}/{name}").items()


async def test_a_bill_is_sent_once_its_mail_was_shown(browser_of: BrowserOf, office: Office) -> None:
    await office.lead_in("2024-04")
    path = f"/bills/{(await office.issued(await office.make()))['bill_id']}"
    fay = await browser_of("fay", Role.FINANCE)
    refused = await fay.get(path)
    assert "It cannot be sent. There is no address to send bills to: the partner needs e-mails" in refused.text
    assert re.search(r'<a href="(/partners/[^"]+/terms)">Open the terms', refused.response.text)
    changed = await office.client.patch("/api/partners/acme", json={"preferences": {"emails": ["pay@acme.example"]}})
    assert changed.status_code == 200, changed.text
    await office.work()
    shown = await fay.get(path)
    assert "To pay@acme.example Subject" in shown.text
    assert "Attached ACME-0001.pdf" in shown.text
    for words in ("The bill is on its way by mail.", "You sent this twice; it was done once."):
        sent = await fay.send(f"{path}/send", shown.form(f"{path}/send"))
        assert words in (await fay.follow(sent)).text
    assert [each["to"][0]["address"] for each in await get_all(office.client, "/api/mails")] == ["pay@acme.example"]
    again = await fay.get(path)
    assert "On its way pay@acme.example" in again.text
    assert "fay sent it" in again.text


@pytest.mark.slow
async def test_an_amount_of_a_bill_leads_to_its_leads_and_they_to_the_sentence_why(
    browser_of: BrowserOf, office: Office
) -> None:
    await office.lead_in("2024-03", "2024-04")
    more = lead("more", action("Call", at="2024-04-12T00:00:00Z"))
    await bill(office.client, office.engine, office.policies, more)
    fay = await browser_of("fay", Role.FINANCE)
    await office.make("2024-03")
    shown = await fay.get(f"/bills/{(await office.make())['bill_id']}")
    of_line, of_all = (
        "/activity?partner=acme&amp;period=2024-04&amp;product=widget",
        "/activity?partner=acme&amp;period=2024-04",
    )
    assert shown.response.text.count(f'<a href="{of_line}">20.00</a>') == 2  # the line, and what differs
    for amount, places in (("24.00", 3), ("20.00", 2), ("4.00", 3)):  # gross, net, tax: on top, as a cause, below
        assert shown.response.text.count(f'<a href="{of_all}">{amount}</a>') >= places, amount
    before = [of.replace("2024-04", "2024-03") for of in (of_line, of_all)]
    assert re.findall(r'<a href="(/activity[^"]*2024-03[^"]*)">([^<]+)</a>', shown.response.text) == [
        *((before[0], "10.00"), (before[1], "2.00"), (before[1], "12.00")),
    ]
    leads = await fay.get(html.unescape(of_line))
    row = re.search(r'class="row" href="([^"]+)"', leads.response.text)
    assert row is not None
    assert "Billed in full: 10.00 EUR by the rate for" in (await fay.get(row[1])).text


async def test_sales_sees_no_form_of_finance_and_is_refused_where_it_sends_one(
    browser_of: BrowserOf, office: Office
) -> None:
    await office.lead_in("2024-04")
    draft = await office.make()
    path = f"/bills/{draft['bill_id']}"
    sam = await browser_of("sam", Role.SALES)
    page = await sam.get(path)
    assert set(page.forms) == {"/account/sign-out"}
    assert "Finance works on this draft." in page.text
    assert "Who approves is read from the terms when the bill is submitted." in page.text
    token = page.form("/account/sign-out")
    for form, fields in (
        ("move", {"move": "submit", "digest": draft["digest"]}),
        ("payment", {"amount": "1.00"}),
        ("cancel", {"number": "x"}),
        ("write-off", {"reason": "x"}),
    ):
        refused = await sam.send(f"{path}/{form}", token | fields)
        assert (refused.status, "This is not open to you" in refused.text) == (403, True), form
    assert await office.live("2024-04") == draft


async def _sent(browser: Browser, path: str, form: str, fields: dict[str, str]) -> None:
    page = await browser.send(f"{path}/{form}", fields)
    assert page.status == 303, page.text
