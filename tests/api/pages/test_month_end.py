"""The month end as a page: a run dry and live, and its dead letters."""

import html
import re

import pytest

from api.pages import month_end
from billing.roles import Role
from billing.runs import Outcome
from db.core.engine import transaction
from db.core.unit_of_work import publish_nothing, unit_of_work
from db.runs import records
from tests.api.office import Office
from tests.api.pages.browser import Browser, Page
from tests.api.pages.conftest import BrowserOf
from tests.api.world import action, get, get_all, lead, make
from worker.tasks import runs


@pytest.fixture(autouse=True)
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is over when its task was run once, however slow the machine is."""
    monkeypatch.setattr(runs, "TURN_S", 60.0)


async def run_of(office: Office, browser: Browser, led: Page) -> Page:
    """The page of a run that was started, once it is done."""
    assert "Look again" in (await browser.follow(led)).text
    await office.work()
    return await browser.follow(led)


async def test_a_run_dry_and_live(browser_of: BrowserOf, office: Office) -> None:
    fay, sam = await browser_of("fay", Role.FINANCE), await browser_of("sam", Role.SALES)
    await office.lead_in("2024-04")
    page = await fay.get("/month?period=2024-04")
    assert "Acme acme Ready" in page.text
    assert "There was no run yet." in page.text
    assert "to bill it (optional)" not in page.text  # Failed before: nothing is billed without it.
    form = page.filled("/month/run")
    dry = await run_of(office, fay, await fay.send("/month/run", form | {"dry_run": "1"}))
    assert "Dry run of April 2024" in dry.text
    assert "Would be billed 1" in dry.text
    assert "Acme acme Pending April 2024 12.00 EUR" in dry.text
    for href in ("/activity?period=2024-04", "/activity?partner=acme&amp;period=2024-04"):
        assert re.search(f'href="{re.escape(href)}"[^>]*>12.00</a>', dry.response.text), href
    assert await get_all(office.client, "/api/bills") == []
    assert 'href="/bills/' not in dry.response.text
    for confirmed in ("", "2024-03", "April"):
        refused = await fay.send("/month/run", form | {"confirmed": confirmed})
        assert (refused.status, "must be 2024-04" in refused.text) == (400, True)
        assert refused.filled("/month/run")["confirmed"] == confirmed
    nameless = await fay.send("/month/run", form | {"period": "", "confirmed": ""})
    assert (nameless.status, "is missing" in nameless.text) == (400, True)
    live = await run_of(office, fay, await fay.send("/month/run", form | {"confirmed": "2024-04"}))
    assert "Run of April 2024" in live.text
    (bill,) = await get_all(office.client, "/api/bills")
    assert f"/bills/{bill['bill_id']}" in live.response.text
    assert bill["state"] == "pending"
    assert "fay" in (await sam.get("/month?period=2024-04")).text
    other = await make(office.client, "partners", external_id="a/b", name="Any id")
    assert f"/partners/{other['partner_id']}/months/2024-04" in (await fay.get("/month?period=2024-04")).response.text


async def test_what_waits_from_before_the_scheduler_is_named_until_people_bill_it(
    browser_of: BrowserOf, office: Office
) -> None:
    fay = await browser_of("fay", Role.FINANCE)
    await office.lead_in("2024-03", "2024-04")
    async with transaction(office.engine) as connection:
        await connection.execute(
            "INSERT INTO billing_scheduler (enabled_at, looked_at) VALUES ('2024-04-15Z', '2024-04-15Z')"
        )
    words = "From before the scheduler, so for people to bill: March 2024"
    page = await fay.get("/month?period=2024-03")
    assert (words in page.text, f"{words} to April 2024" in page.text, "Closed" in page.text) == (True, False, False)
    await office.make("2024-03")
    page = await fay.get("/month?period=2024-03")
    assert (words in page.text, "Closed" in page.text) == (False, True)


async def test_what_waits_is_shown_with_its_partner(browser_of: BrowserOf, office: Office) -> None:
    fay = await browser_of("fay", Role.FINANCE)
    await make(office.client, "partners", external_id="globex", name="Globex")
    await make(office.client, "products", external_id="gps", partner="globex", name="GPS")
    sent = [lead("1", action("Click"), product_id="gps"), lead("2", action("Click"), product_id="no")]
    assert (await office.client.post("/leads", json=sent)).status_code == 202
    page = await fay.get("/month?period=2024-04")
    assert "Acme acme Ready No price of its own" in page.text
    assert "Globex globex Look first 1 lead waits · No price of its own" in page.text
    assert "1 lead waits that is counted for no partner" in page.text


async def test_a_run_shows_its_partners_in_pages(
    browser_of: BrowserOf, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(month_end, "PER_PAGE", 2)
    for name in ("b", "c"):
        await make(office.client, "partners", external_id=name, name=name)
    async with unit_of_work(office.engine, publish_nothing) as uow:
        run_id = await records.start(uow, records.Asked("python", 202404))
        found = await uow.connection.fetch("SELECT id FROM partners")
        await records.plan(uow.connection, run_id, [[(row["id"], 202404, 0) for row in found]])
        items = await records.open_items(uow.connection, run_id)
        await records.finish_items(uow.connection, {each.id: records.Result(Outcome.SKIPPED) for each in items})
    sam = await browser_of("sam", Role.SALES)
    first = await sam.get(f"/runs/{run_id}")
    (older,) = re.findall(r'href="([^"]+)" rel="next"', first.response.text)
    second = await sam.get(html.unescape(older))
    assert [each.text.count(" Needs no bill ") for each in (first, second)] == [2, 1]
    assert "Older" not in second.text
    async with transaction(office.engine) as connection:
        await connection.execute("UPDATE billing_run_items SET outcome = 'failed', error = 'It broke.'")
    fay = await browser_of("fay", Role.FINANCE)
    for letters in (2, 1):
        page = await fay.get(f"/runs/{run_id}")
        items = re.findall('name="item" value="([^"]+)"', page.response.text)
        assert len(items) == letters
        await fay.send(f"/runs/{run_id}/retry", page.filled(f"/runs/{run_id}/retry") | {"item": items})
    assert "Bill these again" not in (await fay.get(f"/runs/{run_id}")).text


async def test_a_run_that_cannot_be_stays_typed(browser_of: BrowserOf, office: Office) -> None:
    fay, sam = await browser_of("fay", Role.FINANCE), await browser_of("sam", Role.SALES)
    page = await fay.get("/month?period=2024-04")
    for shops, status in (("nobody", 404), ("x" * 300, 400)):
        refused = await fay.send("/month/run", page.filled("/month/run") | {"dry_run": "1", "shop_ids": shops})
        assert (refused.status, refused.filled("/month/run")["shop_ids"]) == (status, shops)
    future = await fay.send("/month/run", page.filled("/month/run") | {"dry_run": "1", "period": "2999-01"})
    assert (future.status, future.filled("/month/run")["period"]) == (409, "2999-01")
    shown = await sam.get("/month?period=2024-04")
    assert "/month/run" not in shown.forms
    forged = shown.form("/account/sign-out") | {"period": "2024-04", "dry_run": "1"}
    assert (await sam.send("/month/run", forged)).status == 403
    assert (await sam.get("/runs/00000000-0000-0000-0000-000000000000")).status == 404


async def test_what_failed_is_billed_again(browser_of: BrowserOf, office: Office) -> None:
    fay = await browser_of("fay", Role.FINANCE)
    await office.lead_in("2024-04")
    form = (await fay.get("/month?period=2024-04")).filled("/month/run") | {"confirmed": "2024-04"}
    run = await run_of(office, fay, led := await fay.send("/month/run", form))
    async with transaction(office.engine) as connection:
        await connection.execute("UPDATE billing_run_items SET outcome = 'failed', error = 'It <b>broke</b>.'")
        await connection.execute("UPDATE bills SET state = 'void'")
        await connection.execute("UPDATE billing_runs SET error = 'All of <i>it</i>.'")
        await connection.execute("DELETE FROM billing_run_figures")  # a failed run keeps none
    run = await fay.follow(led)
    assert "The run failed: All of <i>it</i>." in run.text
    assert "looks again by itself" not in run.text
    assert "acme April 2024: It <b>broke</b>." in run.text
    path = f"{led.response.headers['location']}/retry"
    nothing = await fay.send(path, run.form("/account/sign-out"))
    assert (nothing.status, "That did not work" in nothing.text or "There is a problem" in nothing.text) == (400, True)
    again = await fay.follow(await fay.send(path, run.filled(path)))
    assert "They are billed again" in again.text
    await office.work()
    newest = (await get(office.client, "/api/billing-scheduler/status"))["runs"][0]
    assert (newest["state"], newest["failed"]) == ("done", 0)
