"""Wrong passwords are counted, and however many others try, the right person gets in and leads are accepted."""

import asyncio
import collections
import time
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.traffic.buckets import Buckets
from api.traffic.sign_ins import SignIns
from billing.roles import Role
from db.access.users import User
from db.core.engine import transaction
from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.access.conftest import BrowserOf
from tests.api.world import check_problem, finish_tasks, get, lead, make_masters, row_counts
from tests.people import PASSWORD, new_person


@pytest.fixture
async def fin(engine: AsyncEngine) -> User:
    return await new_person(engine, "fin", Role.FINANCE)


def attempt(
    browser: httpx.AsyncClient, password: str, email: str = "fin@example.com"
) -> "asyncio.Future[httpx.Response]":
    return asyncio.ensure_future(browser.post("/api/session", json={"email": email, "password": password}))


async def test_p2_wrong_passwords_of_an_account_are_counted_and_its_own_browser_gets_in(
    browser_of: BrowserOf, fin: User, engine: AsyncEngine, client: httpx.AsyncClient
) -> None:
    own, attacker = await browser_of(None), await browser_of(None)
    assert (await attempt(own, PASSWORD)).status_code == 201
    assert (await own.delete("/api/session", headers={"X-CSRF-Token": await csrf_of(own)})).status_code == 204
    before = await row_counts(engine)
    wrong = "The e-mail or the password is wrong."
    assert check_problem(await attempt(attacker, "wrong", "nobody@example.com"), 401)["detail"] == wrong
    answers = [await attempt(attacker, "wrong") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert {answer.json()["detail"] for answer in answers[:10]} == {wrong}
    assert answers[10].json()["detail"].startswith("Too many tries came for this account; try again in ")
    assert 1 <= int(answers[10].headers["retry-after"]) <= 10
    assert await row_counts(engine) == before
    assert (await attempt(attacker, PASSWORD)).status_code == 429
    assert 'leadger_requests_refused_total{reason="sign_in"} 2.0' in (await client.get("/metrics")).text
    assert (await attempt(own, PASSWORD)).status_code == 201


async def csrf_of(browser: httpx.AsyncClient) -> str:
    token: str = (await get(browser, "/api/session"))["csrf_token"]
    return token


async def test_p2_wrong_tries_from_an_address_are_counted_and_other_addresses_get_in(
    app: FastAPI, browser_of: BrowserOf, fin: User
) -> None:
    browser = await browser_of(None)
    tokens = {"token": "x", "password": PASSWORD}
    statuses = collections.Counter(
        [(await browser.post("/api/password/reset", json=tokens)).status_code for _ in "x" * 40]
    )
    assert set(statuses) == {409, 429}
    assert statuses[409] < 36
    assert (await attempt(browser, PASSWORD)).status_code == 429
    elsewhere = httpx.ASGITransport(app, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://leadger") as other:
        headers = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}  # not believed
        answer = await other.post(
            "/api/session", json={"email": "fin@example.com", "password": PASSWORD}, headers=headers
        )
        assert answer.status_code == 201


async def test_p2_a_flood_of_sign_ins_slows_nothing_and_keeps_no_one_out(
    app: FastAPI, browser_of: BrowserOf, fin: User, client: httpx.AsyncClient
) -> None:
    await make_masters(client)
    own = await browser_of(None)
    assert (await attempt(own, PASSWORD)).status_code == 201
    async with AsyncExitStack() as stack:
        flood = []
        for number in range(60):
            transport = httpx.ASGITransport(app, client=(f"192.0.2.{number}", 1))
            one = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://leadger"))
            flood.append(attempt(one, "wrong", f"{number}@example.com"))
        slowest_s = 0.0
        for number in range(20):
            began = time.perf_counter()
            assert (await client.post("/leads", json=lead(f"{number}"))).status_code == 202
            slowest_s = max(slowest_s, time.perf_counter() - began)
        assert (await attempt(own, PASSWORD)).status_code == 201
        statuses = collections.Counter([(await each).status_code for each in flood])
    assert slowest_s < 1
    assert set(statuses) == {401, 503}


async def test_p2_the_answer_to_a_forgotten_password_never_tells_who_has_an_account(
    browser_of: BrowserOf, fin: User, engine: AsyncEngine, settings: Settings, client: httpx.AsyncClient
) -> None:
    browser = await browser_of(None)
    outs = await new_person(engine, "out", Role.SALES)
    await client.patch(f"/api/users/{outs.id}", json={"active": False})
    answers = [
        await browser.post("/api/password/forgotten", json={"email": f"{name}@example.com"})
        for name in ("fin", "nobody", "out")
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(202, b"")] * 3
    await finish_tasks(engine, Policies(), settings)
    tasks = (await get(client, "/api/tasks", kind="mail_password_link"))["items"]
    assert [(each["state"], each["result"], each["error"]) for each in tasks] == [("done", {}, None)] * 3
    assert "example.com" not in str(tasks)
    (file,) = (settings.home / "outbox").iterdir()
    mail = file.read_text()
    assert "To: fin@example.com" in mail
    token = mail.partition("http://127.0.0.1:8000/password?token=")[2].split()[0]
    new = "another four words of no meaning"
    async with transaction(engine) as connection:
        assert token not in str(await connection.fetch("SELECT * FROM password_links"))
        await connection.execute("UPDATE password_links SET expires_at = expires_at - interval '1 hour'")
    late = await browser.post("/api/password/reset", json={"token": token, "password": new})
    assert check_problem(late, 409)["detail"] == "This link was used or is too old; ask for another one."
    async with transaction(engine) as connection:
        await connection.execute("UPDATE password_links SET expires_at = expires_at + interval '1 hour'")
    weak = await browser.post("/api/password/reset", json={"token": token, "password": "short"})
    assert check_problem(weak, 400)["errors"][0]["pointer"] == "#/password"
    answer = await browser.post("/api/password/reset", json={"token": token, "password": new})
    assert answer.status_code == 204
    assert (await attempt(browser, PASSWORD)).status_code == 401
    assert (await attempt(browser, new)).status_code == 201
    for _ in range(5):  # the mailbox is not flooded, and the answer is the same
        assert (await browser.post("/api/password/forgotten", json={"email": "fin@example.com"})).status_code == 202
    assert len((await get(client, "/api/tasks", kind="mail_password_link"))["items"]) == 5


def test_a_bucket_fills_again_and_few_keys_are_remembered() -> None:
    buckets = Buckets(100.0, 2)
    assert [buckets.take("a") for _ in range(2)] == [0, 0]
    assert 0 < buckets.take("a") <= 0.01
    time.sleep(0.02)
    assert buckets.take("a") == 0
    for number in range(10_001):
        assert buckets.take(number) == 0
    assert buckets.take("a") == 0


async def test_passwords_wait_in_a_queue_that_the_known_pass() -> None:
    sign_ins = SignIns()
    try:
        crowd = [asyncio.ensure_future(sign_ins.matches(None, "x", known=False)) for _ in range(20)]
        await asyncio.sleep(0)
        assert await sign_ins.matches(None, "x", known=True) is False
        answers = await asyncio.gather(*crowd, return_exceptions=True)
    finally:
        sign_ins.close()
    assert [getattr(answer, "status_code", answer) for answer in answers] == [False] * 8 + [503] * 12
