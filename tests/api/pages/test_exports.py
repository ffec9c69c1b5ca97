"""Lists as files: all of what is filtered, and nothing that the reader may not see."""

import csv
import io

import pytest
from openpyxl import load_workbook

from api.pages import exports
from billing.roles import Role
from tests.api.office import Office
from tests.api.pages.browser import Browser
from tests.api.pages.conftest import BrowserOf
from tests.api.world import action, bill, get, lead, make
from worker.tasks import runs

FORMULA = "=1+1"


@pytest.fixture
async def filled(office: Office, monkeypatch: pytest.MonkeyPatch) -> str:
    """Rows in every list, read one at a time; the path of acme."""
    monkeypatch.setattr(exports, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(runs, "TURN_S", 60.0)
    client = office.client
    await make(client, "partners", external_id="globex", name=FORMULA, currency="USD")
    await office.lead_in("2024-03", "2024-04")
    issued = await office.issued(await office.make("2024-03"))
    paid = {"partner": "acme", "amount": "5.00", "paid_on": issued["issued_on"], "reference": "P-1"}
    await make(client, "payments", **paid, external_id="bank-1")
    unknown = [lead(f"{FORMULA}{number}", action(), product_id="nothing") for number in range(2)]
    clicks = lead("held", action("Click"), action("Call"), customer_id="anna")
    await bill(client, office.engine, office.policies, *unknown, lead("stray", action(), customer_id="nobody"), clicks)
    for each in (await get(client, "/leads/held"))["actions"]:
        assert (await client.post(f"/api/actions/{each['action_id']}/hold", json={"reason": FORMULA})).is_success
    for key, units in (("calls", 7), ("texts", 8)):
        await make(client, "usage", partner="acme", period="2024-04", source="api", key=key, units=units)
    return f"/partners/{(await get(client, '/api/partners/acme'))['partner_id']}"


async def rows_of(browser: Browser, path: str) -> list[dict[str, str]]:
    """The rows of a CSV file, which are those of the XLSX file."""
    answer = await browser.client.get(path)
    assert answer.status_code == 200, answer.text
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    book = await browser.client.get(path.replace("kind=csv", "kind=xlsx"))
    (head, *cells) = load_workbook(io.BytesIO(book.content)).active.values
    assert (list(head), len(cells)) == (list(rows[0]) if rows else list(head), len(rows))
    return rows


async def test_every_list_of_finance_is_a_file(browser_of: BrowserOf, office: Office, filled: str) -> None:
    fay, pat = await browser_of("fay", Role.FINANCE), await browser_of("pat", Role.PARTNER, "acme")

    async def linked(page: str, query: str = "") -> list[dict[str, str]]:
        """The rows of the file to which a page leads with what is filtered there."""
        path = f"{page}/export?kind=csv{query}"
        assert path.replace("&", "&amp;") in (await fay.get(f"{page}?{query}")).response.text, path
        return await rows_of(fay, path)

    acme, globex = await linked("/partners")
    assert (acme["partner"], acme["not_due"], acme["open"], acme["closed_through"]) == (
        "acme",
        "7.00",
        "7.00",
        "2024-03",
    )
    assert (globex["name"], globex["currency"], globex["open"]) == (f"'{FORMULA}", "USD", "0.00")
    assert [each["partner"] for each in await linked("/partners", "&q=ACM")] == ["acme"]

    assert sorted(each["reason"] for each in await linked("/quarantine", "&state=open")) == [
        "Unknown customer",
        *("Unknown product", "Unknown product"),
    ]
    unknown = await linked("/quarantine", "&state=open&reason=unknown_product")
    assert sorted(each["lead"] for each in unknown) == [f"'{FORMULA}0", f"'{FORMULA}1"]
    (own,) = await rows_of(pat, "/quarantine/export?kind=csv")
    assert (own["lead"], "left_by" in own) == ("stray", False)

    held = await linked("/held")
    assert sorted(each["action_type"] for each in held) == ["Call", "Click"]
    assert {(each["reason"], each["held_by"], each["currency"]) for each in held} == {
        (f"'{FORMULA}", "a person", "EUR")
    }
    assert await rows_of(fay, "/held/export?kind=csv&period=2024-01") == []
    assert (await fay.client.get("/held/export?kind=csv&partner=nobody")).status_code == 404

    today = (await get(office.client, "/api/bills", partner="acme", period="2024-03"))["items"][0]["issued_on"]
    statement = await linked(f"{filled}/statement", f"&start={today}&end={today}")
    assert [(each["kind"], each["amount"], each["balance"]) for each in statement] == [
        ("opening balance", "", "0.00"),
        ("bill", "12.00", "12.00"),
        ("payment", "-5.00", "7.00"),
        ("closing balance", "", "7.00"),
    ]
    assert await rows_of(pat, f"{filled}/statement/export?kind=csv&start={today}&end={today}") == statement

    assert [(each["period"], each["key"], each["units"]) for each in await linked(f"{filled}/usage")] == [
        ("2024-04", "calls", "7"),
        ("2024-04", "texts", "8"),
    ]

    form = (await fay.get("/month?period=2024-04")).filled("/month/run") | {"dry_run": "1"}
    run = (await fay.send("/month/run", form)).response.headers["location"]
    await office.work()
    assert [(each["partner"], each["period"], each["outcome"]) for each in await linked(run)] == [
        ("acme", "2024-04", "successful")
    ]
    none = "00000000-0000-0000-0000-000000000000"
    assert (await fay.client.get(f"/runs/{none}/export?kind=csv")).status_code == 404
    other = f"/partners/{(await get(office.client, '/api/partners/globex'))['partner_id']}"
    for path in ("statement", "usage"):
        assert (await pat.client.get(f"{other}/{path}/export?kind=csv")).status_code == 404
