"""Import: a file is read, tried and sent as it was shown, and nothing of it is kept in between."""

import gzip
import json
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api import forms
from api.pages import import_leads
from billing.roles import Role
from db.ledger.policies import Policies
from tests.api.office import Office
from tests.api.pages.browser import HTML, Browser, Page
from tests.api.pages.conftest import BrowserOf
from tests.api.world import action, check_problem, decide, get, lead, row_counts

HEADER = "lead_id,customer_id,product_id,lead_type,action_type,engagement_level,timestamp"
ROWS = (
    "l1,anna,widget,Event,Call,High,2024-04-01T10:00:00Z",
    "l1,anna,widget,Event,Open,Low,2024-04-02T10:00:00Z",
    "l2,eve,nothing,Event,Call,High,2024-04-01T10:00:00Z",
    "l3,eve,widget,Event,Call,Huge,2024-04-01T10:00:00Z",
    "l4,eve",
)
CSV = "\n".join((HEADER, *ROWS)).encode()


async def upload(browser: Browser, content: bytes, name: str = "leads.csv", **fields: str) -> Page:
    fields = {**(await browser.get("/import")).form("/import"), **fields}
    return Page(
        await browser.client.post("/import", data=fields, files={"file": (name, content)}, headers=HTML, timeout=30)
    )


async def press(browser: Browser, page: Page, step: str, **fields: str) -> Page:
    """Press a button of the page, which carries the file."""
    sent: dict[str, Any] = {name: (None, text) for name, text in (page.form("/import") | fields).items()}
    return Page(await browser.client.post("/import", files={**sent, "step": (None, step)}, headers=HTML))


async def test_a_file_is_shown_tried_and_sent(
    browser_of: BrowserOf, office: Office, engine: AsyncEngine, policies: Policies
) -> None:
    browser, before = await browser_of("ada", Role.ADMIN), await row_counts(engine)
    read = await upload(browser, CSV)
    assert "CSV, separated by comma" in read.text
    assert "Leads 2 with 3 actions" in read.text
    assert "5 engagement_level must be High, Medium or Low" in read.text
    assert "6 has 2 fields where the heading has 7" in read.text

    tried = await press(browser, read, "try")
    assert "Of the first 2 leads; nothing was stored." in tried.text
    assert "In quarantine, unknown product: 1" in tried.text
    assert "Billed 2 12.00 EUR" in tried.text
    refused = await press(browser, tried, "refused")
    assert [row.partition(",")[0] for row in refused.response.text.splitlines()] == ["line", "5", "6"]
    assert (await row_counts(engine))["inbox"] == before["inbox"]

    sent = await press(browser, tried, "send")
    batch = await browser.follow(sent)
    assert "Accepted: 2; left out: 2." in batch.text
    assert "0 of 2 are decided" in batch.text
    await decide(engine, policies)
    batch = await browser.get(sent.response.headers["location"])
    assert "New 1" in batch.text
    assert "Quarantined 1" in batch.text
    assert "l2 Unknown product" in batch.text
    assert "data-waits" not in batch.response.text
    problems = await browser.get(f"{sent.response.headers['location']}/problems.csv")
    assert problems.response.text.splitlines()[1].startswith("l2,unknown_product,")
    assert (await get(office.client, "/leads/l1"))["state"] == "done"


async def test_headings_of_other_names_are_chosen(browser_of: BrowserOf, office: Office, engine: AsyncEngine) -> None:
    browser = await browser_of("ada", Role.ADMIN)
    rows = (
        "l5,bob,widget,Event,Call,High,2024-04-01T10:00:00Z",
        "l5,bob,widget,Event,Open,Low,yesterday",
        "l6,,widget,Event,Open,Low,2024-04-01T10:00:00Z",
    )
    renamed = "\n".join((CSV.decode(), *rows)).encode()
    renamed = renamed.replace(b"lead_id,customer_id", b"Lead ID,<b>Kunde</b>").replace(b"timestamp", b"Wann (UTC)")
    read = await upload(browser, renamed)
    assert "The first line lacks the columns customer_id, timestamp. Say below which column is which." in read.text
    assert "For example anna" in read.text
    assert "<b>" not in read.response.text.partition("<form")[2].partition("Which column")[2]
    assert ">Send" not in read.response.text
    chosen = {"column-0": "lead_id", "column-1": "customer_id", "column-2": "timestamp"}
    again = await press(browser, read, "send", **chosen)  # what was not shown is not sent
    assert (again.status, "Send 2 leads" in again.text) == (200, True)
    for reason in (
        "5 engagement_level must be High, Medium or Low",
        '7 Wann (UTC) must be an RFC 3339 string with a time zone, like "2024-04-01T10:00:00Z" (line 8)',
        "9 <b>Kunde</b> is required",
    ):
        assert reason in again.text
    assert (await row_counts(engine))["inbox"] == 0
    assert (await press(browser, again, "send", **chosen)).status == 303


async def test_a_heading_without_its_id_is_guessed_once(browser_of: BrowserOf) -> None:
    browser = await browser_of("ada", Role.ADMIN)
    for heading, guessed in (("Lead,customer", ["lead_id", "customer_id"]), ("lead,lead id", ["lead_id", ""])):
        read = await upload(browser, CSV.replace(b"lead_id,customer_id", heading.encode()))
        assert [read.filled("/import", "digest")[f"column-{at}"] for at in range(2)] == guessed
    both = await upload(browser, CSV.replace(b"customer_id", b"lead"))
    assert both.filled("/import", "digest")["column-0"] == ""  # the column that it means stands beside it


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (json.dumps([lead("l1", action()), lead("l2", action())]).encode(), "leads.json"),
        (gzip.compress(b"\xef\xbb\xbf" + CSV), "leads.csv.gz"),
    ],
)
async def test_other_files(browser_of: BrowserOf, office: Office, content: bytes, name: str) -> None:
    assert "Send 2 leads" in (await upload(await browser_of("ada", Role.ADMIN), content, name)).text


async def test_a_large_file_is_asked_for_again(
    browser_of: BrowserOf, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_leads, "MOST_BYTES_KEPT", 100)
    browser = await browser_of("ada", Role.ADMIN)
    read = await upload(browser, CSV)
    assert "kept" not in read.form("/import")
    other = await upload(browser, CSV.replace(b"l1", b"l9"), **read.form("/import"), step="send")
    assert (other.status, "Nothing is sent yet." in other.text) == (200, True)
    assert (await upload(browser, CSV, **read.form("/import"), step="send")).status == 303


_UNREADABLE = [
    (b"", "", "Choose a file first."),
    (b"\x00\x01", "x.bin", "x.bin is neither JSON, NDJSON nor CSV"),
    (gzip.compress(CSV)[:-9], "x.csv.gz", "x.csv.gz is damaged"),
    (gzip.compress(gzip.compress(CSV)), "x.csv.gz", "lacks the columns"),
    (gzip.compress(bytes(17 * 1024 * 1024)), "x.csv.gz", "larger than 16777216 bytes"),
    (b"a," * 101 + b"\n", "x.csv", "The first line is too long"),
    (b"\n".join(json.dumps(lead(f"l{at}")).encode() for at in range(10_001)), "x.ndjson", "more than 10,000 leads"),
    (gzip.compress(CSV + b"x\n" * 100_000), "x.csv.gz", "more than 100,000 lines"),
    (gzip.compress(b"\n" * 100_001), "x.ndjson.gz", "more than 100,000 lines"),
]


async def test_what_cannot_be_read_says_why(
    browser_of: BrowserOf, engine: AsyncEngine, subtests: pytest.Subtests
) -> None:
    browser = await browser_of("ada", Role.ADMIN)
    for content, name, said in _UNREADABLE:
        with subtests.test(f"{name}: {said}"):
            page = await upload(browser, content, name, step="send")
            assert said in page.text
            assert (await row_counts(engine))["inbox"] == 0


async def test_a_file_needs_the_token_of_its_page_before_it_is_read(browser_of: BrowserOf) -> None:
    browser = await browser_of("ada", Role.ADMIN)
    for token in ("", "x" * 86):
        page = await upload(browser, CSV, csrf_token=token)
        assert page.status == 403, page.text
    assert (await upload(browser, CSV)).status == 200


async def test_only_who_may_send_leads_may_send_a_file(browser_of: BrowserOf, client: httpx.AsyncClient) -> None:
    sam = await browser_of("sam", Role.SALES)
    token = (await sam.get("/account")).form("/account/sign-out")
    assert "Import" not in (await sam.get("/account")).text
    files = {"file": ("leads.csv", CSV)}
    assert (await sam.client.post("/import", data=token, files=files, headers=HTML)).status_code == 403
    broken = await sam.client.post("/import", content=b"x", headers=HTML | {"Content-Type": "multipart/form-data"})
    assert broken.status_code == 403  # it is not read at all
    check_problem(await client.post("/api/partners", files=files), 415)


async def test_a_form_that_is_too_large_is_refused(browser_of: BrowserOf, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await browser_of("ada", Role.ADMIN)
    monkeypatch.setattr(forms, "MOST_BYTES_WITH_FILE", 100_000)
    assert (await upload(browser, bytes(100_001))).status == 413
