"""R13: what means one thing only is taken; what does not is refused with the sentence that fits it."""

import gzip
import json
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from tests.api.world import Json, accept, action, check_problem, lead, make_masters_once

JSON = "application/json"
NDJSON = "application/x-ndjson"
BOM = b"\xef\xbb\xbf"


async def stored(engine: AsyncEngine) -> int:
    async with transaction(engine) as connection:
        return int(await connection.fetchval("SELECT coalesce(sum(lead_count), 0) FROM inbox"))


@pytest.mark.parametrize(
    ("body", "kind", "leads"),
    [
        (BOM + json.dumps(lead()).encode(), JSON, 1),
        (BOM + b"\r\n " + json.dumps([lead("a"), lead("b")]).encode(), JSON, 2),
        (BOM + json.dumps(lead("a")).encode() + b"\n" + BOM + json.dumps(lead("b")).encode(), NDJSON, 2),
        (json.dumps(lead()).encode(), "application/json; charset=utf8", 1),
        (json.dumps(lead()).encode(), 'application/json;charset="UTF-8"', 1),
        (json.dumps(lead()).encode(), "application/json; charset=us-ascii", 1),
        (json.dumps(lead()).encode(), "application/x-ndjson; header=present; charset=US-ASCII", 1),
    ],
)
async def test_r13_a_byte_order_mark_and_names_of_utf_8_mean_one_thing(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, body: bytes, kind: str, leads: int
) -> None:
    before = await stored(shared_engine)
    response = await shared_client.post("/leads", content=body, headers={"content-type": kind})
    assert (response.status_code, response.json().get("accepted")) == (202, leads), response.text
    assert await stored(shared_engine) == before + leads


async def test_r13_a_master_may_begin_with_a_byte_order_mark(shared_client: httpx.AsyncClient) -> None:
    body = BOM + b'{"external_id": "marked", "name": "Marked"}'
    response = await shared_client.post("/api/partners", content=body, headers={"content-type": JSON})
    assert (response.status_code, response.json()["name"]) == (201, "Marked")


@pytest.mark.parametrize("charset", ["utf-16", "iso-8859-1", "latin1; x=utf-8", "windows-1252"])
async def test_r13_another_charset_is_refused_by_name(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, charset: str
) -> None:
    before = await stored(shared_engine)
    headers = {"content-type": f"application/json; charset={charset}"}
    document = check_problem(await shared_client.post("/leads", content=json.dumps(lead()), headers=headers), 415)
    assert document["detail"] == f"The body must be UTF-8, and Content-Type says that it is {charset.split(';')[0]}."
    assert await stored(shared_engine) == before


@pytest.mark.parametrize("kind", [JSON, NDJSON])
async def test_r13_utf_16_is_refused_by_name(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, kind: str
) -> None:
    before = await stored(shared_engine)
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        body = json.dumps(lead()).encode(encoding)
        document = check_problem(await shared_client.post("/leads", content=body, headers={"content-type": kind}), 400)
        assert document["errors"][0]["detail"].endswith("is UTF-16, and must be UTF-8")
    assert await stored(shared_engine) == before


MEMBERS = [gzip.compress(json.dumps(lead(name)).encode() + b"\n") for name in ("one", "two")]


@pytest.mark.parametrize(
    ("body", "encoding", "leads"),
    [
        (MEMBERS[0], "x-gzip", 1),
        (MEMBERS[0], "X-GZIP", 1),
        (b"".join(MEMBERS), "gzip", 2),
        (MEMBERS[0] + b"\0" * 512, "gzip", 1),
        (b"".join(MEMBERS) + b"\0" * 200_000, "gzip", 2),
    ],
)
async def test_r13_gzip_by_both_names_in_members_and_with_padding(
    shared_client: httpx.AsyncClient, body: bytes, encoding: str, leads: int
) -> None:
    headers = {"content-type": NDJSON, "content-encoding": encoding}
    response = await shared_client.post("/leads", content=body, headers=headers)
    assert (response.status_code, response.json().get("accepted")) == (202, leads), response.text


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"".join(MEMBERS)[:-4], "The gzip body ends too early."),
        (MEMBERS[0] + MEMBERS[1][:20], "The gzip body ends too early."),
        (MEMBERS[0] + b"\0\0\0x", "The body is not valid gzip, although Content-Encoding says so."),
        (MEMBERS[0] + b"\0" * 70_000 + MEMBERS[1], "The body is not valid gzip, although Content-Encoding says so."),
    ],
)
async def test_r13_a_gzip_body_that_is_cut_or_followed_by_something_stores_nothing(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, body: bytes, detail: str
) -> None:
    before = await stored(shared_engine)
    headers = {"content-type": NDJSON, "content-encoding": "gzip"}
    document = check_problem(await shared_client.post("/leads", content=body, headers=headers), 400)
    assert document["detail"] == detail
    assert await stored(shared_engine) == before


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2024-04-01T12:00:00+0200", "2024-04-01T10:00:00Z"),
        ("2024-04-01 10:00:00+00", "2024-04-01T10:00:00Z"),
        ("2024-04-01 04:30:00-0530", "2024-04-01T10:00:00Z"),
        ("2024-04-01T10:00:00.000+0000", "2024-04-01T10:00:00Z"),
        ("2024-04-01t10:00:00.1230000z", "2024-04-01T10:00:00.123000Z"),
        ("2024-04-01T10:00:00.123456000000000Z", "2024-04-01T10:00:00.123456Z"),
        ("2024-04-01T23:59:00+23:59", "2024-04-01T00:00:00Z"),
        ("2024-04-01T10:00:00-00:00", "2024-04-01T10:00:00Z"),
    ],
)
async def test_r13_instants_in_forms_that_mean_one_thing(
    shared_client: httpx.AsyncClient, written: str, instant: str
) -> None:
    await make_masters_once(shared_client)
    response = await shared_client.post("/leads?dry_run=true", json=lead("formed", action(at=written)))
    assert response.json()["leads"][0]["actions"][0]["occurred_at"] == instant


async def test_r13_a_leap_second_refuses_its_lead_only(shared_client: httpx.AsyncClient) -> None:
    leads = [lead("before"), lead("leap", action(at="2016-12-31T23:59:60Z")), lead("after")]
    response = await shared_client.post("/leads?partial=true", json=leads)
    assert (response.status_code, response.json()["accepted"]) == (202, 2)
    assert [(each["index"], each["pointer"]) for each in response.json()["rejected"]] == [
        (1, "#/1/actions/0/timestamp")
    ]


@pytest.mark.parametrize("name", ["start_date", "end_date"])
async def test_r13_a_plus_that_is_not_encoded_is_explained(shared_client: httpx.AsyncClient, name: str) -> None:
    document = check_problem(await shared_client.get(f"/leads?{name}=2024-04-01T00:30:00+02:00"), 400)
    assert "%2B" in document["detail"]
    assert (await shared_client.get(f"/leads?{name}=2024-04-01T00:30:00%2B02:00")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/leads?dry_run=true&dry_run=false", "dry_run"),
        ("POST", "/leads?partial=true&dry_run=true&partial=true", "partial"),
        ("GET", "/leads?partner=acme&partner=other", "partner"),
        ("GET", "/leads?limit=1&limit=1", "limit"),
        ("GET", "/billing/reports?period=2024-04&period=2024-05", "period"),
        ("GET", "/api/partners?after=&after=", "after"),
    ],
)
async def test_r13_a_query_parameter_that_is_given_twice_is_refused(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, method: str, path: str, name: str
) -> None:
    before = await stored(shared_engine)
    body: dict[str, Any] = {"json": lead("twice")} if method == "POST" else {}
    document = check_problem(await shared_client.request(method, path, **body), 400)
    assert document["errors"] == [{"pointer": f"query:{name}", "detail": "is given more than once"}]
    assert await stored(shared_engine) == before


async def test_no_answer_redirects_to_the_host_that_the_caller_names(shared_client: httpx.AsyncClient) -> None:
    for path in ("/docs/", "/api/keys/", "/api/partners/", "/leads/", "/health/", "/billing/reports/"):
        response = await shared_client.get(path, headers={"host": "evil.example"})
        assert response.status_code in (400, 404), (path, response.status_code)
        assert "location" not in response.headers


async def test_r1_texts_of_masters_rates_queries_and_leads_follow_one_rule(shared_client: httpx.AsyncClient) -> None:
    await make_masters_once(shared_client)
    rate: Json = {
        "partner": "acme",
        "lead_type": "Form\u2028 Fill\u200b",
        "amount": "7.77",
        "action_type": "\ufeffMASSE",
    }
    created = await shared_client.post("/api/rate-cards", json=rate)
    assert (created.json()["lead_type"], created.json()["action_type"]) == ("Form Fill", "MASSE")
    sent = lead("one rule", action("ma\u00adße\u3000", level="\u00a0hIGH\u200d"), lead_type="form\u00a0fill")
    await accept(shared_client, sent)
    dry = await shared_client.post("/leads?dry_run=true", json=sent | {"lead_id": "another"})
    assert dry.json()["leads"][0]["actions"][0]["value"] == "7.77"
    named = await shared_client.patch("/api/partners/acme", json={"name": "Ac\u200bme\u2029 GmbH"})
    assert named.json()["name"] == "Acme GmbH"
    for bad in ("a\x00b", "a\x1fb", "\u200b", "x" * 201):
        for path, body in (("/api/rate-cards", rate | {"lead_type": bad}), ("/api/partners/acme", {"name": bad})):
            method = "POST" if path == "/api/rate-cards" else "PATCH"
            check_problem(await shared_client.request(method, path, json=body), 400)
        check_problem(await shared_client.post("/leads", json=lead(lead_type=bad)), 400)
        check_problem(await shared_client.get("/leads", params={"lead_type": bad}), 400)
