"""P2: sessions begin with a password, are proven by a token, and end in every process."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.caller_cache import CallerCache
from api.app import create_app
from billing.roles import Role
from db.access.users import User
from db.core.engine import transaction
from db.core.settings import Settings
from tests.api.access.conftest import BrowserOf
from tests.api.world import Json, check_problem, row_counts
from tests.people import PASSWORD, new_person

NEW = "another four words of no meaning"


@pytest.fixture
async def fin(engine: AsyncEngine) -> User:
    return await new_person(engine, "fin", Role.FINANCE)


@pytest.fixture
async def browser(browser_of: BrowserOf, fin: User) -> httpx.AsyncClient:
    """A browser in which nobody has signed in; there is a person fin."""
    return await browser_of(None)


async def sign_in(browser: httpx.AsyncClient, password: str = PASSWORD) -> Json:
    """Sign in as fin and send the token from then on; the answer."""
    answer = await browser.post("/api/session", json={"email": "fin@example.com", "password": password})
    assert answer.status_code == 201, answer.text
    document: Json = answer.json()
    browser.headers["X-CSRF-Token"] = document["csrf_token"]
    return document


async def age(engine: AsyncEngine, column: str, by: timedelta) -> None:
    """Let time pass for every session."""
    async with transaction(engine) as connection:
        await connection.execute(f"UPDATE sessions SET {column} = {column} - $1::interval", by)


async def test_p2_a_session_is_a_cookie_that_no_script_reads_and_a_token(
    browser: httpx.AsyncClient, fin: User, engine: AsyncEngine
) -> None:
    began = datetime.now(UTC)
    session = await sign_in(browser)
    assert session["user"]["user_id"] == str(fin.id)
    lasts = datetime.fromisoformat(session["expires_at"]) - began
    assert timedelta(days=7) <= lasts < timedelta(days=7, minutes=1)
    seen = await browser.get("/api/session")
    assert (seen.json(), seen.headers["cache-control"]) == (session, "no-store")
    again = await browser.post("/api/session", json={"email": "fin@example.com", "password": PASSWORD})
    cookies = {each.partition("=")[0]: each for each in again.headers.get_list("set-cookie")}
    assert cookies.keys() == {"leadger_session", "leadger_browser"}
    for cookie in cookies.values():
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Secure" not in cookie
        assert "Domain" not in cookie
    token = cookies["leadger_session"].partition("=")[2].partition(";")[0]
    secret = token.removeprefix("leadger_session_")
    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    async with transaction(engine, readonly=True) as connection:
        stored = str(await connection.fetch("SELECT * FROM sessions"))
        assert await connection.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 1  # the new one
    assert secret not in stored
    assert session["csrf_token"] not in stored


async def test_p2_cookies_are_secure_where_people_come_by_https(settings: Settings, fin: User) -> None:
    """Whatever the request itself says of its host and scheme."""
    app = create_app(settings.model_copy(update={"api_base_url": "https://leadger.example.com"}))
    body = {"email": "fin@example.com", "password": PASSWORD}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://evil.example") as client,
    ):
        answer = await client.post("/api/session", json=body, headers={"X-Forwarded-Host": "evil.example"})
        session, known = answer.headers.get_list("set-cookie")
        assert session.startswith("__Host-leadger_session=")
        assert "; Path=/;" in session
        for cookie in (session, known):
            assert "; Secure" in cookie
            assert "evil" not in cookie
        cookie = session.partition(";")[0]
        assert (await client.get("/api/session", headers={"Cookie": cookie})).status_code == 200
        bare = cookie.removeprefix("__Host-")
        assert (await client.get("/api/session", headers={"Cookie": bare})).status_code == 401


async def test_p2_what_changes_something_carries_the_token(
    browser: httpx.AsyncClient, browser_of: BrowserOf, engine: AsyncEngine
) -> None:
    await sign_in(browser)
    other = await browser_of(None)
    foreign = (await sign_in(other))["csrf_token"]
    before = await row_counts(engine)
    for token in (None, "", "x", "ü", foreign):
        browser.headers.pop("X-CSRF-Token", None)
        headers = httpx.Headers({} if token is None else {"X-CSRF-Token": token}, encoding="utf-8")
        for method, path in (("DELETE", "/api/session"), ("POST", "/api/password"), ("POST", "/leads")):
            refused = check_problem(await browser.request(method, path, json={}, headers=headers), 403)
            assert refused["detail"].startswith("Send the header X-CSRF-Token"), (token, path)
        assert (await browser.get("/api/session", headers=headers)).status_code == 200
    assert await row_counts(engine) == before


async def test_p2_a_session_ends_by_time(browser: httpx.AsyncClient, app: FastAPI, engine: AsyncEngine) -> None:
    sessions: CallerCache = app.state.leadger.sessions
    await sign_in(browser)
    await age(engine, "used_at", timedelta(hours=11))
    sessions.clear()
    assert (await browser.get("/api/session")).status_code == 200  # which notes that it is used
    await age(engine, "used_at", timedelta(hours=11))
    sessions.clear()
    assert (await browser.get("/api/session")).status_code == 200
    await age(engine, "used_at", timedelta(hours=13))
    sessions.clear()
    check_problem(await browser.get("/api/session"), 401)
    browser.headers.pop("X-CSRF-Token")
    await sign_in(browser)
    await age(engine, "expires_at", timedelta(days=7))
    sessions.clear()
    check_problem(await browser.get("/api/session"), 401)


async def test_p2_a_session_ends_by_signing_out_here_or_everywhere(
    browser: httpx.AsyncClient, browser_of: BrowserOf
) -> None:
    other = await browser_of(None)
    await sign_in(browser)
    await sign_in(other)
    thief = await browser_of(None)
    thief.cookies.update(browser.cookies)
    out = await browser.delete("/api/session")
    assert (out.status_code, browser.cookies.get("leadger_session")) == (204, None)
    check_problem(await thief.get("/api/session"), 401)
    assert (await other.get("/api/session")).status_code == 200
    await sign_in(browser)
    assert (await browser.delete("/api/session?everywhere=true")).status_code == 204
    for each in (browser, other):
        check_problem(await each.get("/api/session"), 401)


async def test_p2_a_session_ends_in_other_processes_within_two_seconds(
    browser: httpx.AsyncClient, settings: Settings, fin: User, client: httpx.AsyncClient
) -> None:
    await sign_in(browser)
    cookie = {"Cookie": f"leadger_session={browser.cookies['leadger_session']}"}
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=cookie) as elsewhere,
    ):
        assert (await elsewhere.get("/api/session")).status_code == 200
        assert (await client.patch(f"/api/users/{fin.id}", json={"active": False})).status_code == 200
        check_problem(await browser.get("/api/session"), 401)
        deadline = asyncio.get_running_loop().time() + 2.0
        while (await elsewhere.get("/api/session")).status_code == 200:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.05)


async def test_p2_another_password_ends_all_sessions_and_the_old_one(
    browser: httpx.AsyncClient, browser_of: BrowserOf, engine: AsyncEngine
) -> None:
    other = await browser_of(None)
    await sign_in(browser)
    await sign_in(other)
    before = await row_counts(engine)
    wrong = check_problem(await browser.post("/api/password", json={"old": "x", "new": NEW}), 400)
    assert wrong["errors"] == [{"pointer": "#/old", "detail": "is not your password"}]
    weak = check_problem(await browser.post("/api/password", json={"old": PASSWORD, "new": "monkeymonkey"}), 400)
    assert weak["errors"][0]["pointer"] == "#/new"
    assert await row_counts(engine) == before
    assert (await browser.post("/api/password", json={"old": PASSWORD, "new": NEW})).status_code == 204
    for each in (browser, other):
        check_problem(await each.get("/api/session"), 401)
    old = await browser.post("/api/session", json={"email": "fin@example.com", "password": PASSWORD})
    assert check_problem(old, 401)["detail"] == "The e-mail or the password is wrong."
    await sign_in(browser, NEW)


async def test_a_cookie_is_found_among_odd_ones_and_in_a_header_of_its_own(
    browser: httpx.AsyncClient, browser_of: BrowserOf
) -> None:
    await sign_in(browser)
    ours = f"leadger_session={browser.cookies['leadger_session']}"
    other = await browser_of(None)
    for headers in (
        [("Cookie", f"a[b]={{1,2}}; =x; {ours}; c")],
        [("Cookie", "theme=dark"), ("Cookie", ours)],
    ):
        assert (await other.get("/api/session", headers=headers)).status_code == 200
    check_problem(await other.get("/api/session", headers=[("Cookie", "leadger_session=x")]), 401)


async def test_a_key_counts_before_a_cookie_and_has_no_session(
    browser: httpx.AsyncClient, admin_key: str, fin: User
) -> None:
    await sign_in(browser)
    browser.headers.pop("X-CSRF-Token")
    headers = {"Authorization": f"Bearer {admin_key}"}
    assert (await browser.get(f"/api/users/{fin.id}", headers=headers)).status_code == 200
    check_problem(await browser.post("/api/keys", json={}, headers=headers), 400)  # needs no token
    check_problem(await browser.delete("/api/session", headers=headers), 403)
    check_problem(await browser.get("/api/session", headers={"Authorization": "Bearer x"}), 401)
