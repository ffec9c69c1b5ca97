"""What if, as a page."""

from billing.roles import Role
from tests.api.office import Office
from tests.api.pages.conftest import BrowserOf
from tests.api.world import get, row_counts

PATH = "/what-if"
MONTHS = {"partners": "acme", "from": "2024-04", "to": "2024-04"}


async def test_another_price_is_judged_and_nothing_changes(browser_of: BrowserOf, office: Office) -> None:
    fay = await browser_of("fay", Role.FINANCE)
    await office.lead_in("2024-04")
    form = (await fay.get(PATH)).filled(PATH) | MONTHS
    before = await row_counts(office.engine)
    led = await fay.send(PATH, form | {"rates.amount": "4.00"})
    waiting = await fay.follow(led)
    assert "Look again" in waiting.text
    await office.work()
    assert "acme 10.00 4.00 −6.00 EUR" in (await fay.follow(led)).text
    assert (await get(office.client, "/leads/lead-2024-04"))["totals"]["billed"] == "10.00"
    after = await row_counts(office.engine)
    assert {name for name in after if after[name] != before[name]} == {"sent_forms", "tasks", "what_if_differences"}
    cancel = f"{led.response.headers['location']}/cancel"
    ended = await fay.follow(await fay.send(cancel, waiting.filled(cancel)))
    assert "acme 10.00 4.00 −6.00 EUR" in ended.text
    led = await fay.send(PATH, form | {"cap_is": "other", "cap": "7.50"})
    cancel = f"{led.response.headers['location']}/cancel"
    cancelled = await fay.follow(await fay.send(cancel, (await fay.follow(led)).filled(cancel)))
    assert "It was cancelled." in cancelled.text


async def test_what_cannot_be_supposed_stays_typed(browser_of: BrowserOf, office: Office) -> None:
    fay, sam = await browser_of("fay", Role.FINANCE), await browser_of("sam", Role.SALES)
    form = (await fay.get(PATH)).filled(PATH) | MONTHS
    before = await row_counts(office.engine)
    for field, text, status in (
        ("partners", "", 400),
        ("partners", "nobody", 404),
        ("from", "spring", 400),
        ("cap", "much", 400),
        ("dedup_window", "a while", 400),
        ("rates.amount", "-1", 400),
        ("rates.product", "nothing", 404),
    ):
        price = {"rates.amount": "4.00"} if field == "rates.product" else {}
        refused = await fay.send(PATH, form | price | {"cap_is": "other" if field == "cap" else "", field: text})
        assert (refused.status, refused.filled(PATH)[field]) == (status, text), field
        assert (f'id="{field}-error"' in refused.response.text) is (status == 400), field
    nobody = await fay.send(PATH, form | {"partners": ""})
    assert "There is a problem Partners is required. Partners" in nobody.text
    missing = await fay.send(PATH, form | {"rates.lead_type": "Website Visit"})
    assert (missing.status, 'id="rates.amount-error"' in missing.response.text) == (400, True)
    assert await row_counts(office.engine) == before
    assert (await sam.get(PATH)).status == 403
    forged = (await sam.get("/bills")).form("/account/sign-out") | form
    assert (await sam.send(PATH, forged)).status == 403
