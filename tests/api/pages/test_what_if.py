"""What if, as a page."""

import html
import re
from typing import Any
from uuid import UUID

import pytest

from api.pages.supposed_in_words import supposed_in_words
from api.pages.words import ENGLISH
from billing.roles import Role
from billing.terms import DuplicateWindow
from billing.what_if import Supposed, SupposedRate
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
    assert "April 2024, as if one action of Acme cost 4.00." in waiting.text
    await office.work()
    ended = await fay.follow(led)
    assert "April 2024, as if one action of Acme cost 4.00 EUR." in ended.text
    assert "Acme Difference −6.00 EUR As it was 10.00 Would be 4.00" in ended.text
    assert "Anna April 2024 10.00 4.00 −6.00 EUR" in ended.text
    (person,) = re.findall(r'href="(/people/[^"]+)"', ended.response.text)
    assert "April 2024 with Acme" in (await fay.get(html.unescape(person))).text
    assert (await get(office.client, "/leads/lead-2024-04"))["totals"]["billed"] == "10.00"
    after = await row_counts(office.engine)
    assert {name for name in after if after[name] != before[name]} == {"sent_forms", "tasks", "what_if_differences"}
    cancel = f"{led.response.headers['location']}/cancel"
    ended = await fay.follow(await fay.send(cancel, waiting.filled(cancel)))
    assert "Anna April 2024 10.00 4.00 −6.00 EUR" in ended.text
    led = await fay.send(PATH, form | {"cap_is": "other", "cap": "7.50"})
    cancel = f"{led.response.headers['location']}/cancel"
    cancelled = await fay.follow(await fay.send(cancel, (await fay.follow(led)).filled(cancel)))
    assert "April 2024, as if the cap were 7.50." in cancelled.text
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
    assert "There is a problem Partner is required. Partner" in nobody.text
    missing = await fay.send(PATH, form | {"rates.lead_type": "Website Visit"})
    assert (missing.status, 'id="rates.amount-error"' in missing.response.text) == (400, True)
    assert await row_counts(office.engine) == before
    assert (await sam.get(PATH)).status == 403
    forged = (await sam.get("/bills")).form("/account/sign-out") | form
    assert (await sam.send(PATH, forged)).status == 403


ACME, CRM = UUID(int=1), UUID(int=2)
ANY_ACTION = (None,) * 5


@pytest.mark.parametrize(
    ("supposed", "sentence"),
    [
        ({}, "with nothing supposed."),
        ({"changes_cap": True}, "as if there were no cap."),
        ({"window": DuplicateWindow("period")}, "as if duplicates were found within a month."),
        ({"window": DuplicateWindow("days", 1)}, "as if duplicates were found within 1 day."),
        (
            {
                "rates": (
                    SupposedRate((ACME, CRM, "fair", None, "high"), 1_250_00),
                    SupposedRate((ACME, None, None, None, None), None),
                ),
                "cap_minor": 2_000_00,
                "changes_cap": True,
            },
            "as if one action of Acme · CRM · fair · high cost 1,250.00 EUR; "
            "one action of Acme had no price of its own and the cap were 2,000.00 EUR.",
        ),
        (
            {"rates": (SupposedRate(ANY_ACTION, 5_00),) * 7},
            f"as if {'; '.join(['one action cost 5.00 EUR'] * 5)} and 2 more prices counted.",
        ),
    ],
)
def test_a_result_says_what_was_supposed(supposed: dict[str, Any], sentence: str) -> None:
    """Failed before: whoever was sent the link did not learn what had been asked."""
    text = supposed_in_words(Supposed(202403, 202405, **supposed), {ACME: "Acme", CRM: "CRM"}, ENGLISH, "EUR")
    assert text == f"March 2024 to May 2024, {sentence}"
