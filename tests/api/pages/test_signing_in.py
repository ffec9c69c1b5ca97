"""Signing in and up by forms, what is kept over a session that has ended, and forms of foreign pages."""

import asyncio
from urllib.parse import quote

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.cookies import csrf_token, form_token, is_form_token
from billing.roles import Role
from db.access import set_up_links
from db.core.engine import transaction
from db.core.unit_of_work import publish_nothing, unit_of_work
from tests.api.office import Office
from tests.api.pages.browser import HTML, Page
from tests.api.pages.conftest import BrowserOf
from tests.api.world import get, make, row_counts
from tests.people import PASSWORD, new_person

EVIL = "https://evil.example/"
MARKUP = "<script>alert(1)</script>"


async def test_a_person_signs_in_and_goes_on_where_they_were(browser_of: BrowserOf, engine: AsyncEngine) -> None:
    await new_person(engine, "fay", Role.FINANCE)
    browser = await browser_of()
    asked = await browser.get("/bills?state=draft")
    assert (asked.status, asked.response.headers["location"]) == (303, "/welcome?next=%2Fbills%3Fstate%3Ddraft")
    welcome = await browser.follow(asked)
    fields = welcome.form("/welcome/sign-in")
    wrong = await browser.send("/welcome/sign-in", fields | {"email": "fay@example.com", "password": "wrong"})
    assert (wrong.status, "The e-mail or the password is wrong." in wrong.text) == (401, True)
    assert 'value="fay@example.com"' in wrong.response.text
    assert "wrong" not in [each.value for each in browser.client.cookies.jar]
    right = await browser.send("/welcome/sign-in", fields | {"email": "fay@example.com", "password": PASSWORD})
    assert (right.status, right.response.headers["location"]) == (303, "/bills?state=draft")
    cookies = right.response.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("HttpOnly" in each and "SameSite=lax" in each for each in cookies)
    assert "There is no bill at this stage." in (await browser.follow(right)).text


async def test_nobody_is_led_elsewhere(browser_of: BrowserOf, engine: AsyncEngine) -> None:
    await new_person(engine, "fay", Role.FINANCE)
    for target in (EVIL, "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\nx"):
        browser = await browser_of()
        welcome = await browser.get("/welcome", params={"next": target})
        fields = welcome.form("/welcome/sign-in") | {"next": target}
        led = await browser.send("/welcome/sign-in", fields | {"email": "fay@example.com", "password": PASSWORD})
        assert led.response.headers["location"] == "/", target


async def test_letters_of_own_ids_lead_back_to_where_the_person_was(
    browser_of: BrowserOf, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """Failed before: 500 after the session had begun, and after whatever a form had done."""
    own_id = "größe€ 50%?#"
    await make(client, "partners", external_id=own_id, name="Größe")
    await new_person(engine, "ada", Role.ADMIN)
    browser, path = await browser_of(), f"/partners/{quote(own_id)}/products"
    welcome = await browser.follow(await browser.get(path))
    fields = welcome.form("/welcome/sign-in") | {"email": "ada@example.com", "password": PASSWORD}
    led = await browser.send("/welcome/sign-in", fields)
    assert (led.status, led.response.headers["location"]) == (303, path)
    form = {"csrf_token": (await browser.follow(led)).posted()[0][1]["csrf_token"]}
    made = await browser.send(path, form | {"external_id": "cloud", "name": "Cloud"})
    assert (made.status, made.response.headers["location"]) == (303, path)
    assert "Cloud is there" in (await browser.follow(made)).text
    typed = await browser.send("/welcome/sign-in", fields | {"next": "/partners/€"})
    assert typed.response.headers["location"] == "/partners/%E2%82%AC"


async def test_a_person_signs_up_and_sees_nothing_until_they_have_a_role(browser_of: BrowserOf) -> None:
    browser = await browser_of()
    short = await browser.send("/welcome/sign-up", {"name": "Nora", "email": "nora@example.com", "password": "short"})
    assert (short.status, 'href="#password"' in short.response.text) == (400, True)
    typed = {"name": "Nora", "email": "nora@example.com", "password": PASSWORD}
    led = await browser.send("/welcome/sign-up", typed)
    notice = "Your account is there. Sign in; an Admin then gives you a role."
    assert notice in (await browser.follow(led)).text
    assert notice not in (await browser.get("/welcome")).text
    signed_in = await browser.send("/welcome/sign-in", {"email": "nora@example.com", "password": PASSWORD})
    account = await browser.follow(await browser.follow(signed_in))
    assert "You have no role yet" in account.text
    refused = await browser.get("/bills")
    assert (refused.status, "This is not open to you" in refused.text) == (403, True)


async def test_the_first_admin_is_made_with_an_admin_key_and_only_once(
    browser_of: BrowserOf, client: httpx.AsyncClient, admin_key: str, engine: AsyncEngine
) -> None:
    reader = (await client.post("/api/keys", json={"name": "r", "scopes": ["read"]})).json()["key"]
    browser = await browser_of()
    assert "Set up Leadger" in (await browser.get("/welcome")).text
    typed = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}
    before = await row_counts(engine)
    for key in ("", "leadger_guessed", reader):
        refused = await browser.send("/welcome/set-up", {**typed, "key": key})
        assert (refused.status, "Admin key is no valid key with the scope admin." in refused.text) == (400, True)
    assert await row_counts(engine) == before
    assert (await browser.send("/welcome/set-up", {**typed, "key": admin_key})).status == 303
    assert "Set up Leadger" not in (await browser.get("/welcome")).text
    again = await browser.send("/welcome/set-up", {**typed, "email": "eve@example.com", "key": admin_key})
    assert (again.status, "There is an Admin already" in again.text) == (409, True)


async def test_what_was_typed_is_kept_over_a_session_that_has_ended(
    browser_of: BrowserOf, office: Office, engine: AsyncEngine
) -> None:
    browser = await browser_of("sam", Role.SALES)
    await office.lead_in("2024-04")
    pending = await office.moved(await office.make(), "submit")
    path = f"/bills/{pending['bill_id']}"
    form = (await browser.get(path)).form(f"{path}/move", move="reject")
    async with transaction(engine) as connection:
        await connection.execute("UPDATE sessions SET ended_at = clock_timestamp()")
    browser.client.cookies.set("leadger_session", browser.client.cookies["leadger_session"])
    await _until_forgotten(browser.client, path)
    ended = await browser.send(f"{path}/move", form | {"reason": 'The "fair" is missing.'})
    assert (ended.status, "nothing was sent" in ended.text) == (401, True)
    kept = ended.form("/welcome/sign-in")
    assert (kept["next"], kept["kept.reason"], kept["kept.move"]) == (
        f"{path}/move",
        'The "fair" is missing.',
        "reject",
    )
    assert (await office.live("2024-04"))["state"] == "pending"
    wrong = await browser.send("/welcome/sign-in", kept | {"email": "sam@example.com", "password": "wrong"})
    kept = wrong.form("/welcome/sign-in")
    again = await browser.send("/welcome/sign-in", kept | {"email": "sam@example.com", "password": PASSWORD})
    assert (again.status, "Send it now?" in again.text) == (200, True)
    browser.client.cookies.set("leadger_session", _newest(again.response))
    led = await browser.send(f"{path}/move", again.form(f"{path}/move"))
    assert led.status == 303
    assert (await office.live("2024-04"))["state"] == "rejected"
    assert (await browser.send("/account/sign-out", again.form("/account/sign-out"))).status == 303
    assert (await browser.get(path)).status != 200


async def test_every_form_is_kept_over_a_session_that_has_ended(
    browser_of: BrowserOf, office: Office, engine: AsyncEngine
) -> None:
    """Failed before for forms with a file, and for what has more than 16 kB."""
    await office.lead_in("2024-04")
    issued = await office.issued(await office.make())
    partner = (await get(office.client, "/api/partners/acme"))["partner_id"]
    lead = (await get(office.client, "/leads/lead-2024-04"))["id"]
    ada, pat = await browser_of("ada", Role.ADMIN), await browser_of("pat", Role.PARTNER, "acme")
    tabs = [f"/partners/{partner}{tab}" for tab in ("/terms", "/products", "/prices", "/usage", "/months/2024-05")]
    others = ("/partners/new", "/people/new", "/month", "/what-if", "/import", "/account", f"/activity/{lead}")
    settings = [f"/settings/{name}" for name in ("people", "keys", "webhooks", "seller")]
    of_browsers = (
        (ada, [f"/bills/{issued['bill_id']}", *tabs, *others, *settings]),
        (pat, ["/partner/returns", "/partner/reconciliation", f"/activity/{lead}"]),
    )
    forms = [
        (browser, path, fields)
        for browser, pages in of_browsers
        for page in pages
        for path, fields in (await browser.get(page)).posted()
    ]
    async with transaction(engine) as connection:
        await connection.execute("UPDATE sessions SET ended_at = clock_timestamp()")
    for browser in (ada, pat):
        await _until_forgotten(browser.client, "/account")
    assert len(forms) > 40
    kept_of: dict[str, dict[str, str]] = {}
    for browser, path, fields in forms:
        typed = {name: f"typed {name}" if text == "" else text for name, text in fields.items() if name}
        if "leads" in typed:
            typed["leads"] = "lead-2024-04\r\n" * 3000
        has_file = typed.pop("file", None) is not None
        files = {"file": ("list.csv", b"lead_id")} if has_file else None
        ended = Page(await browser.client.post(path, data=typed, files=files, headers=HTML))
        kept = kept_of[path] = ended.filled("/welcome/sign-in")
        secret = ("csrf_token", "old", "new", "password")
        wanted = {f"kept.{name}": text for name, text in typed.items() if name not in secret}
        assert ended.status == 401, path
        assert {name: text for name, text in kept.items() if name.startswith("kept.")} == wanted, path
    typed = kept_of["/partner/returns"] | {"email": "pat@example.com", "password": PASSWORD}
    asked = await pat.send("/welcome/sign-in", typed)
    assert (asked.status, asked.filled("/partner/returns")["leads"]) == (200, "lead-2024-04\r\n" * 3000)


async def test_a_foreign_page_puts_nothing_into_a_form(browser_of: BrowserOf) -> None:
    browser = await browser_of("fay", Role.FINANCE)
    secret = browser.client.cookies["leadger_session"]
    for token in ("", "x", csrf_token(secret), form_token("leadger_session_other")):
        refused = await browser.send("/account/sign-out", {"csrf_token": token})
        assert (refused.status, "X-CSRF-Token" in refused.text) == (403, True)
    assert (await browser.get("/account")).status == 200
    browser.client.cookies.set("leadger_session", "leadger_session_unknown")
    unknown = await browser.send("/bills/x/move", {"csrf_token": form_token(secret), "reason": "planted"})
    assert (unknown.status, "planted" in unknown.response.text) == (401, False)


def test_the_token_of_a_form_is_another_text_each_time() -> None:
    one, other = form_token("secret"), form_token("secret")
    assert one != other
    assert is_form_token(one, "secret")
    assert is_form_token(other, "secret")
    assert not is_form_token(one, "another")
    for sent in ("", "é", "====", "A", one[:-4]):
        assert not is_form_token(sent, "secret")


async def test_a_person_is_called_otherwise(browser_of: BrowserOf, office: Office) -> None:
    browser = await browser_of("fay", Role.FINANCE)
    form = (await browser.get("/account")).filled("/account/name")
    assert form["name"] == "fay"
    refused = await browser.send("/account/name", form | {"name": " "})
    assert (refused.status, 'id="name-error"' in refused.response.text) == (400, True)
    renamed = await browser.follow(await browser.send("/account/name", form | {"name": MARKUP}))
    assert (MARKUP in renamed.text, MARKUP in renamed.response.text) == (True, False)
    lines = (await get(office.client, "/api/audit", what="user.changed"))["items"]
    assert [(each["before"], each["after"]) for each in lines] == [({"name": "fay"}, {"name": MARKUP})]


async def test_a_person_names_who_stands_in_for_them_and_ends_it(browser_of: BrowserOf) -> None:
    ann, _ = await browser_of("ann", Role.SALES), await browser_of("bob", Role.SALES)
    form = (await ann.get("/account")).form("/account/deputy") | {"email": "bob@example.com"}
    nobody = await ann.send("/account/deputy", form | {"email": "nobody@example.com", "until": "2999-01-01"})
    assert (nobody.status, 'id="email-error"' in nobody.response.text) == (400, True)
    for until, shown in (
        ("2999-01-01", "1 Jan 2999"),
        ("9999-12-31", "31 Dec 9999"),
    ):  # the last one failed before: 500
        named = await ann.follow(await ann.send("/account/deputy", form | {"until": until}))
        assert f"bob stands in for you until {shown}." in named.text
    ended = await ann.follow(await ann.send("/account/deputy", form | {"ends": "yes"}))
    assert "Nobody stands in for you any more." in ended.text


async def test_a_password_is_changed_and_all_sessions_end(browser_of: BrowserOf) -> None:
    browser = await browser_of("fay", Role.FINANCE)
    form = (await browser.get("/account")).form("/account/password")
    wrong = await browser.send("/account/password", form | {"old": "wrong", "new": "another four words of none"})
    assert (wrong.status, "Current password is not your password." in wrong.text) == (400, True)
    led = await browser.send("/account/password", form | {"old": PASSWORD, "new": "another four words of none"})
    assert "Your password is changed." in (await browser.follow(led)).text
    assert (await browser.client.get("/account", headers=HTML)).headers["location"] == "/welcome?next=%2Faccount"


async def _until_forgotten(client: httpx.AsyncClient, path: str) -> None:
    """Wait until the process has forgotten the session, which takes two seconds at most."""
    while (await client.get(path, headers=HTML)).status_code == 200:
        pass


def _newest(response: httpx.Response) -> str:
    (cookie,) = [each for each in response.headers.get_list("set-cookie") if each.startswith("leadger_session=")]
    return cookie.partition("=")[2].partition(";")[0]


async def test_the_link_of_the_log_makes_the_first_admin_and_is_gone_then(
    browser_of: BrowserOf, engine: AsyncEngine
) -> None:
    async with unit_of_work(engine, publish_nothing) as uow:
        old, link = [await set_up_links.make(uow, "") for _ in range(2)]
    assert old is not None
    assert link is not None
    browser = await browser_of()
    over = await browser.get(old)
    assert ("This link was used, or is too old." in over.text, "this link works once" in over.text) == (True, False)
    page = await browser.get(link)
    assert ("this link works once" in page.text, 'name="key"' in page.response.text) == (True, False)
    typed = page.form("/welcome/set-up") | {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}
    short = await browser.send("/welcome/set-up", typed | {"password": "short"})
    assert (short.status, short.form("/welcome/set-up")) == (400, page.form("/welcome/set-up"))
    guessed = await browser.send("/welcome/set-up", typed | {"token": "guessed"})
    assert (guessed.status, "This link was used, or is too old." in guessed.text) == (409, True)
    answers = await asyncio.gather(*(browser.send("/welcome/set-up", typed | {"email": f"{n}@b.c"}) for n in "ab"))
    assert sorted(each.status for each in answers) == [303, 409]
    assert (await row_counts(engine))["set_up_links"] == 0
    assert "This link was used" in (await browser.get(link)).text
    async with unit_of_work(engine, publish_nothing) as uow:
        assert await set_up_links.make(uow, "") is None


async def test_a_person_sees_their_sessions_and_ends_one_of_them(browser_of: BrowserOf, engine: AsyncEngine) -> None:
    await new_person(engine, "fay", Role.FINANCE)
    phone, laptop, sam = await browser_of(), await browser_of(), await browser_of("sam", Role.SALES)
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
    for browser, agent in ((phone, f"{MARKUP} iPhone Safari"), (laptop, chrome)):
        browser.client.headers["User-Agent"] = agent
        typed = {"email": "fay@example.com", "password": PASSWORD}
        assert (await browser.send("/welcome/sign-in", typed)).status == 303
    account = await laptop.get("/account")
    assert "Chrome on Linux" in account.text
    assert "Safari on an iPhone" in account.text
    (end,) = (path for path in account.forms if path.startswith("/account/sessions/"))
    assert (await sam.send(end, (await sam.get("/account")).form("/account/sign-out"))).status == 404
    assert (await phone.get("/account")).status == 200
    led = await laptop.send(end, account.form(end))
    left = await laptop.follow(led)
    assert ("That session has ended." in left.text, "Safari on an iPhone" in left.text) == (True, False)
    assert (await phone.get("/account")).response.headers["location"] == "/welcome?next=%2Faccount"
    assert (await laptop.send(end, account.form(end))).status == 303
