"""What a partner's own people do on their pages: compare their list of a month, and ask for returns."""

import asyncio
import csv
import io
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.pages import sent_csv
from billing.roles import Role
from tests.api.office import Office
from tests.api.pages.browser import HTML, Browser, Page
from tests.api.pages.conftest import BrowserOf
from tests.api.world import Json, action, bill, get, lead, make, row_counts

LIST, RETURNS = "/partner/reconciliation", "/partner/returns"
MARKUP = "<script>alert(1)</script>"


@pytest.fixture
async def found(client: httpx.AsyncClient, office: Office) -> Json:
    """Of acme the leads a with two actions and b with one, each at 10.00; and a lead of globex."""
    await make(client, "partners", external_id="globex", name="Globex")
    await make(client, "products", external_id="other", partner="globex", name="Other")
    both = [action(name, at="2024-04-10T10:00:00Z") for name in ("Call", "Demo")]
    one = action("Visit", at="2024-04-12T00:00:00Z")
    await bill(client, office.engine, office.policies, lead("a", *both), lead("b", one))
    await bill(client, office.engine, office.policies, lead("theirs", one, product_id="other"))
    return await get(client, "/leads/a")


async def sent(browser: Browser, path: str, fields: dict[str, Any], content: str) -> Page:
    """Send the form of a page with a file; with the content "" none was chosen, as a browser says it."""
    file = {"file": ("list.csv" if content else "", content.encode())}
    return Page(await browser.client.post(path, data=fields, files=file, headers=HTML))


async def test_a_list_is_compared_once_and_shown_with_its_file(
    browser_of: BrowserOf, office: Office, found: Json, engine: AsyncEngine
) -> None:
    """Sent again, also at once, the same form leads to the same result; another file is another one."""
    pat, gus = [await browser_of(name, Role.PARTNER, of) for name, of in (("pat", "acme"), ("gus", "globex"))]
    assert "No list was compared yet." in (await pat.get(LIST)).text
    form = (await pat.get(LIST)).form(LIST) | {"period": "2024-04"}
    text = f"lead_id,amount\na,20.00\nx{MARKUP},1.00\ntheirs,10.00\n"
    first, twin = await asyncio.gather(*(sent(pat, LIST, form, text) for _ in range(2)))
    path = first.response.headers["location"]
    assert twin.response.headers["location"] == path
    counts = await row_counts(engine)
    assert (counts["tasks"], counts["reconciliation_entries"]) == (1, 3)
    assert "data-waits" in (await pat.get(path)).response.text
    await office.work()
    assert (await sent(pat, LIST, form, text)).response.headers["location"] == path
    shown = await pat.get(path)
    assert "In both, alike 1 20.00 In both, with other amounts 0 0.00" in shown.text
    assert "Only in your list 2 11.00 Only billed 1 10.00" in shown.text
    assert MARKUP in shown.text
    assert MARKUP not in shown.response.text
    assert "data-waits" not in shown.response.text
    file = (await pat.get(f"{path}/rows")).response
    assert "reconciliation.csv" in file.headers["content-disposition"]
    assert [(row["part"], row["line"], row["lead_id"], row["yours"], row["billed"]) for row in _read(file)] == [
        ("missing_here", "3", f"x{MARKUP}", "1.00", ""),
        ("missing_here", "4", "theirs", "10.00", ""),
        ("missing_there", "", "b", "", "10.00"),
    ]
    for away in (path, f"{path}/rows"):
        assert (await gus.get(away)).status == 404
    assert path in (await pat.get(LIST)).response.text
    assert path not in (await gus.get(LIST)).response.text
    assert "billed for 1 action so far" in (await gus.get("/partner")).text
    other = await sent(pat, LIST, form, text + "b,10.00\n")
    foreign = await sent(gus, LIST, (await gus.get(LIST)).form(LIST) | form | _token(await gus.get(LIST)), text)
    assert len({each.response.headers["location"] for each in (first, other, foreign)}) == 3


async def test_a_list_that_cannot_be_read_is_refused_with_its_lines(
    browser_of: BrowserOf, found: Json, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pat, sam = await browser_of("pat", Role.PARTNER, "acme"), await browser_of("sam", Role.SALES)
    form, before = (await pat.get(LIST)).form(LIST), await row_counts(engine)
    monkeypatch.setattr(sent_csv, "MOST_FAULTS", 2)
    wrong = "lead_id,amount\n" + "a,many\n" * 5
    refused = await sent(pat, LIST, form | {"period": "2024-04"}, wrong)
    assert (refused.status, "line 2" in refused.text, "line 4" in refused.text) == (400, True, False)
    assert "3 more lines are wrong." in refused.text
    assert refused.filled(LIST)["period"] == "2024-04"
    assert 'id="period-error"' in (await sent(pat, LIST, form | {"period": "April"}, wrong)).response.text
    assert 'id="file-error"' in (await sent(pat, LIST, form | {"period": "2024-04"}, "")).response.text
    staff = (await sam.get("/activity")).form("/account/sign-out") | {"period": "2024-04"}
    refused = await sent(sam, LIST, staff, "lead_id,amount\na,1\n")
    assert (refused.status, "leadger reconcile compares one for any partner" in refused.text) == (403, True)
    assert (await sam.get(LIST)).response.headers["location"] == "/partners"
    assert await row_counts(engine) == before


async def test_b8_a_partner_asks_for_returns_and_sees_what_became_of_them(
    browser_of: BrowserOf, office: Office, found: Json, engine: AsyncEngine
) -> None:
    await office.client.patch("/api/partners/acme", json={"return_reasons": ["bad_budget"]})
    pat, gus = [await browser_of(name, Role.PARTNER, of) for name, of in (("pat", "acme"), ("gus", "globex"))]
    assert "No return was asked for yet." in (await pat.get(RETURNS)).text
    form = (await pat.get(RETURNS)).filled(RETURNS)
    form.pop("file")
    assert form["reason"] == "bad_budget"
    form |= {"leads": "a\r\n\r\n", "text": MARKUP}
    asked = await pat.follow(await sent(pat, RETURNS, form, ""))
    assert "Asked for the return of 2 actions." in asked.text
    before = await row_counts(engine)
    await pat.follow(await sent(pat, RETURNS, form, ""))
    assert await row_counts(engine) == before
    for leads in ("theirs", "nobody", "b\r\ntheirs"):
        refused = await sent(pat, RETURNS, form | {"leads": leads}, "")
        assert (refused.status, "is no lead on record." in refused.text) == (404, True), leads
        assert refused.filled(RETURNS)["leads"].split() == leads.split()
    assert (await sent(pat, RETURNS, form | {"leads": ""}, "")).status == 400
    assert await row_counts(engine) == before
    file = "lead_id,reason,text\nb,wrong contact,Left\n"
    assert "of 1 action." in (await pat.follow(await sent(pat, RETURNS, form, file))).text
    for decision, lead_of in (("accept", "a"), ("refuse", "b")):
        actions = [each["action_id"] for each in (await get(office.client, f"/leads/{lead_of}"))["actions"]]
        body = {"actions": actions[:1], "decision": decision, "reason": "Looked up."}
        assert (await office.client.post("/api/returns/decide", json=body)).is_success
    shown = await pat.get(RETURNS)
    assert [shown.response.text.count(f">{word}</span>") for word in ("Asked", "Returned", "Refused")] == [1, 1, 1]
    assert "wrong_contact: Left" in shown.text
    assert "Looked up." in shown.text
    assert MARKUP not in shown.response.text
    assert "No return was asked for yet." in (await gus.get(RETURNS)).text


async def test_b8_an_action_is_asked_for_on_the_page_of_its_lead(
    browser_of: BrowserOf, office: Office, found: Json, engine: AsyncEngine
) -> None:
    pat, gus = [await browser_of(name, Role.PARTNER, of) for name, of in (("pat", "acme"), ("gus", "globex"))]
    fay, none = await browser_of("fay", Role.FINANCE), await browser_of("none")
    path = f"/activity/{found['id']}"
    asking = f"{path}/ask-return"
    one = found["actions"][1]["action_id"]
    form = (await pat.get(path)).filled(asking) | {"action": one, "reason": "duplicate", "text": MARKUP}
    before = await row_counts(engine)
    stranger = form | _token(await gus.get("/activity"))
    assert (await gus.send(asking, stranger)).status == 404
    assert (await none.send(asking, form | _token(await none.get("/account")))).status == 403
    assert (await pat.send(asking, form | {"action": "x"})).status == 400
    theirs = (await get(office.client, "/leads/theirs"))["actions"][0]["action_id"]
    assert (await pat.send(asking, form | {"action": theirs})).status == 404
    assert await row_counts(engine) == before
    shown = await pat.follow(await pat.send(asking, form))
    assert "Asked for the return of 1 action." in shown.text
    assert f"Asked 10.00 EUR duplicate: {MARKUP}" in shown.text
    assert MARKUP not in shown.response.text
    after = await row_counts(engine)
    assert (await pat.send(asking, form)).status == 303
    assert await row_counts(engine) == after
    assert {each["outcome"] for each in (await get(office.client, "/leads/a"))["actions"]} == {"billed"}
    assert asking not in (await fay.get(path)).forms
    assert asking in (await pat.get(path)).forms


def _token(page: Page) -> dict[str, str]:
    return {"csrf_token": page.form("/account/sign-out")["csrf_token"]}


def _read(file: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.text)))
