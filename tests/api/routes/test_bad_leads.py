"""Bad input (R13): a problem document that names the fault, and nothing stored."""

import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import Problem
from api.schemas.leads import leads_from_body
from db.core.engine import transaction
from tests.api.world import Json, action, check_problem, lead

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
NO_OFFSET = "has an offset that no place has: hours go to 23 and minutes to 59"
DIGITS = "must not have more than 6 fraction digits, but for zeros: they would be lost"
INSTANT = 'must be an RFC 3339 string with a time zone, like "2024-04-01T10:00:00Z"'


@pytest.fixture
async def refused(shared_client: httpx.AsyncClient, shared_engine: AsyncEngine) -> AsyncIterator[Callable[..., Any]]:
    """Post a body that must be refused; nothing may be in the inbox afterwards."""

    async def post(body: Any, status: int = 400, headers: dict[str, str] | None = None, **query: str) -> Json:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await shared_client.post("/leads", content=content, headers=JSON | (headers or {}), params=query)
        return check_problem(response, status)

    yield post
    async with transaction(shared_engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM inbox") == 0


def without(name: str) -> Json:
    return {key: value for key, value in lead().items() if key != name}


@pytest.mark.parametrize(
    ("sent", "faults"),
    [
        (without("lead_id"), {"#/0/lead_id": "is required"}),
        (without("customer_id"), {"#/0/customer_id": "is required"}),
        (without("product_id"), {"#/0/product_id": "is required"}),
        (without("lead_type"), {"#/0/lead_type": "is required"}),
        (without("actions"), {"#/0/actions": "is required"}),
        (lead() | {"actions": []}, {"#/0/actions": "must be a list of at least one action"}),
        (lead() | {"actions": {}}, {"#/0/actions": "must be a list of at least one action"}),
        (lead() | {"actions": None}, {"#/0/actions": "must be a list of at least one action"}),
        (lead() | {"actions": [action()] * 1001}, {"#/0/actions": "must not hold more than 1000 actions"}),
        (lead() | {"actions": [action(), 7]}, {"#/0/actions/1": "must be an object"}),
        (lead() | {"lead_id": 7}, {"#/0/lead_id": "must be a string"}),
        (lead() | {"lead_id": None}, {"#/0/lead_id": "must be a string"}),
        (lead(lead_id=""), {"#/0/lead_id": "must have 1 to 200 characters"}),
        (lead(lead_id="   "), {"#/0/lead_id": "must not be blank"}),
        (lead(lead_id="x" * 10_000), {"#/0/lead_id": "must have 1 to 200 characters"}),
        (lead(customer_id="a\0b"), {"#/0/customer_id": "must not contain control characters or lone surrogates"}),
        (lead(product_id="a\nb"), {"#/0/product_id": "must not contain control characters or lone surrogates"}),
        (lead(product_id=["a"]), {"#/0/product_id": "must be a string"}),
        (lead(source=7), {"#/0/source": "must be a string"}),
        (lead(source=""), {"#/0/source": "must have 1 to 200 characters"}),
        (lead(lead_type=" "), {"#/0/lead_type": "must have 1 to 200 characters"}),
        (lead(lead_type="x" * 201), {"#/0/lead_type": "must have 1 to 200 characters"}),
        (lead(lead_type="a\0b"), {"#/0/lead_type": "must not contain control characters or lone surrogates"}),
        (
            lead(customer={"name": "<test lead: dummy data for full_name>", "email": "test@fb.com"}),
            {"#/0/customer/name": "is the dummy data of a test lead, which is never billed"},
        ),
        (lead(lead_type=10**30), {"#/0/lead_type": "must be a string"}),
        (lead(colour="red"), {"#/0/colour": "is not a known field"}),
        (lead() | {"a/b~c": 1}, {"#/0/a~1b~0c": "is not a known field"}),
        (lead("x", action() | {"x": 1}), {"#/0/actions/0/x": "is not a known field"}),
        (lead("x", action(level="Extreme")), {"#/0/actions/0/engagement_level": "must be High, Medium or Low"}),
        (
            lead("x", action() | {"engagement_level": 1}),
            {"#/0/actions/0/engagement_level": "must be High, Medium or Low"},
        ),
        (
            lead("x", {"action_type": "Click"}),
            {"#/0/actions/0/engagement_level": "is required", "#/0/actions/0/timestamp": "is required"},
        ),
        (lead("x", action() | {"id": ""}), {"#/0/actions/0/id": "must have 1 to 200 characters"}),
        (lead("x", action() | {"id": 7}), {"#/0/actions/0/id": "must be a string"}),
        (
            lead("x", action() | {"id": "7"}, action(), action(level="Low") | {"id": "7"}),
            {
                "#/0/actions/0/id": "is also the id of #/0/actions/2, which has another level",
                "#/0/actions/2/id": "is also the id of #/0/actions/0, which has another level",
            },
        ),
        (lead(customer="Ben"), {"#/0/customer": "must be an object with name and email"}),
        (lead(customer={}), {"#/0/customer/name": "is required", "#/0/customer/email": "is required"}),
        (lead(customer={"name": "B", "email": "ben"}), {"#/0/customer/email": "must be an e-mail address"}),
        (lead(customer={"name": "B", "email": "a b@c"}), {"#/0/customer/email": "must be an e-mail address"}),
        (lead(customer={"name": "B", "email": "b@c", "age": 1}), {"#/0/customer/age": "is not a known field"}),
        ([], {"#/0": "must be an object"}),
        ("lead", {"#/0": "must be an object"}),
        (None, {"#/0": "must be an object"}),
        (17, {"#/0": "must be an object"}),
    ],
)
async def test_every_fault_is_named(refused: Callable[..., Any], sent: Any, faults: dict[str, str]) -> None:
    document = await refused([sent])
    assert {error["pointer"]: error["detail"] for error in document["errors"]} == faults
    assert {error["index"] for error in document["errors"]} == {0}
    alone = await refused(sent) if isinstance(sent, dict) else document
    assert [error["pointer"].replace("#/0", "#", 1) for error in document["errors"]] == [
        error["pointer"].replace("#/0", "#", 1) for error in alone["errors"]
    ]
    lines = await refused(json.dumps(sent).encode(), headers=NDJSON)
    assert lines["errors"] == document["errors"]


@pytest.mark.parametrize(
    ("instant", "detail"),
    [
        ("2024-04-01T10:00:00", 'must have a time zone: end it with "Z" or an offset like "+02:00"'),
        ("2024-04-01", f"{INSTANT}, not a day alone"),
        ("2024-04-01T10:00Z", INSTANT),
        (1711965600, f"{INSTANT}, not a number"),
        (1711965600.5, f"{INSTANT}, not a number"),
        ("1711965600", f"{INSTANT}, not a number"),
        ("2024-04-01 10:00:00 UTC", """must end with "Z" instead of 'UTC'"""),
        ("2024-04-01T10:00:00 Europe/Berlin", """must end with an offset like "+02:00" instead of 'Europe/Berlin'"""),
        (
            "Mon, 01 Apr 2024 10:00:00 +0000",
            'is written as in e-mails (RFC 2822), and must be written as RFC 3339 has it, like "2024-04-01T10:00:00Z"',
        ),
        ("2024-04-01T10:00:00 02:00", 'has a space where the offset has its sign; in a query "+" is written %2B'),
        ("2024-04-01T10:00:00+02:60", NO_OFFSET),
        ("2024-04-01T10:00:00+0299", NO_OFFSET),
        ("2024-04-01T10:00:00-24:00", NO_OFFSET),
        ("", INSTANT),
        (None, INSTANT),
        (True, INSTANT),
        ("10000-01-01T00:00:00Z", INSTANT),
        ("+2024-04-01T10:00:00Z", INSTANT),
        ("２０２４-04-01T10:00:00Z", INSTANT),
        ("2024-04-01T10:00:00Z\n", INSTANT),
        ("2024-04-01T10:00:00.1234567Z", DIGITS),
        ("2024-04-01T10:00:00.123456700000001Z", DIGITS),
        ("0000-01-01T00:00:00Z", "is not a date and time that exists"),
        ("2024-02-30T00:00:00Z", "is not a date and time that exists"),
        ("2024-04-01T24:00:01Z", "is not a date and time that exists"),
        ("2016-12-31T23:59:60Z", "is a leap second, which no clock here has: send the second before or after it"),
        ("2024-04-01T10:00:00+25:00", NO_OFFSET),
        ("0001-01-01T00:00:00+14:00", "is not a date and time that exists"),
        ("1900-12-31T23:59:59.999999Z", "lies before 1901"),
        ("9999-12-31T23:59:59Z", "lies more than 24 hours ahead"),
        ("9999-12-31T23:59:59.999999Z", "is the last instant there is, which cannot be kept"),
        ("9999-12-31T23:59:59-14:00", "is not a date and time that exists"),
    ],
)
async def test_what_is_no_instant(refused: Callable[..., Any], instant: Any, detail: str) -> None:
    sent = [lead("good"), lead("bad", action(), action() | {"timestamp": instant}, created_at=instant)]
    places = ["#/1/created_at"] if instant is not None else []
    places.append("#/1/actions/1/timestamp")
    document = await refused(sent)
    assert document["errors"] == [{"pointer": place, "index": 1, "detail": detail} for place in places]


@pytest.mark.parametrize(
    ("body", "pointer", "part"),
    [
        (b"", "#", "truncated"),
        (b"   ", "#", "truncated"),
        (b"{", "#", "truncated"),
        (b"[{]", "#", "byte"),
        (b"\xef\xbb\xbf[]", "#", "must not be empty"),
        (b"{} {}", "#", "trailing"),
        (b"NaN", "#", "byte 0"),
        (b'[{"lead_id": NaN}]', "#", "byte"),
        (b'[{"lead_id": Infinity}]', "#", "byte"),
        (b'[{"lead_id": -Infinity}]', "#", "byte"),
        (b'[{"lead_id": 1e999}]', "#", "range"),
        (b'[{"lead_id": ' + b"9" * 5000 + b"}]", "#", "range"),
        (b'[{"lead_id": "\xff"}]', "#", "is not UTF-8"),
        (b'[{"lead_id": "\xed\xa0\x80"}]', "#", "is not UTF-8"),
        (b'[{"lead_id": "\\ud800"}]', "#", ""),
        (b'[{"lead_id": "\\udc00x"}]', "#", ""),
        (b"\xff\xfe[\x00]\x00", "#", "is UTF-16, and must be UTF-8"),
        (b"\xfe\xff\x00[\x00]", "#", "is UTF-16, and must be UTF-8"),
        (b"[\x00]\x00", "#", "is UTF-16, and must be UTF-8"),
        (b"\x00[\x00]", "#", "is UTF-16, and must be UTF-8"),
        (b"\xff\xfe\x00\x00[\x00\x00\x00", "#", "is UTF-32, and must be UTF-8"),
        (b"\x00\x00\x00[\x00\x00\x00]", "#", "is UTF-32, and must be UTF-8"),
        (b"[" * 1_000_000, "#", "is nested too deeply"),
        (b'{"actions":' * 100_000, "#", "is nested too deeply"),
        (b"[" * 500 + b"]" * 500, "#/0", "must be an object"),
        (b"[]", "#", "must not be empty"),
        (b"{}", "#/lead_id", "is required"),
        (b"true", "#", "must be an object"),
        (b"\0", "#", "byte 0"),
    ],
)
async def test_what_is_no_json(refused: Callable[..., Any], body: bytes, pointer: str, part: str) -> None:
    error = (await refused(body))["errors"][0]
    assert error["pointer"] == pointer
    assert part in error["detail"]
    assert error["detail"]


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (b'{"lead_id": "a", "lead_id": "b", REST', {"#/lead_id": None}),
        (b'[GOOD, {"lead_id": "a", "lead_id": "a", REST]', {"#/1/lead_id": 1}),
        (b'{"lead_id": "a", "customer": {"name": "B", "email": "b@c", "name": "C"}, REST', {"#/customer/name": None}),
        (b'{"lead_id": "\\"", "lead\\u005fid": "b", REST', {"#/lead_id": None}),
        (b'{"lead_id": "a", "source": null, "source": "crm", REST', {"#/source": None}),
        (b'{"lead_id": "a", "source": "crm", "source": null, REST', {"#/source": None}),
    ],
)
async def test_a_name_that_is_given_twice(
    refused: Callable[..., Any], body: bytes, faults: dict[str, int | None]
) -> None:
    rest = json.dumps(without("lead_id"))[1:].encode()
    good = json.dumps(lead("good")).encode()
    document = await refused(body.replace(b"REST", rest).replace(b"GOOD", good))
    assert [(error["pointer"], error["detail"]) for error in document["errors"]] == [
        (pointer, "is given more than once") for pointer in faults
    ]


async def test_a_name_that_is_given_twice_in_an_action_or_a_line(
    shared_client: httpx.AsyncClient, refused: Callable[..., Any]
) -> None:
    twice = json.dumps(lead("bad")).replace('"High"', '"High", "engagement_level": "Low"').encode()
    assert (await refused(twice))["errors"][0]["pointer"] == "#/actions/0/engagement_level"
    lines = json.dumps(lead("good")).encode() + b"\n" + twice
    error = {"pointer": "#/1/actions/0/engagement_level", "index": 1, "detail": "is given more than once"}
    assert (await refused(lines, headers=NDJSON))["errors"] == [error]
    partly = await shared_client.post(
        "/leads", content=lines, headers=NDJSON, params={"partial": "true", "dry_run": "true"}
    )
    assert [each["lead_id"] for each in partly.json()["leads"]] == ["good"]
    assert partly.json()["rejected"] == [error]


@given(
    st.dictionaries(st.sampled_from(["source", "created_at", "customer"]), st.booleans()),
    st.lists(st.text(alphabet='a"\\é', min_size=1, max_size=5).filter(str.strip), min_size=1, max_size=4),
    st.lists(st.sampled_from([{}, {"id": None}, {"id": "one"}, {"id": "two"}]), min_size=4, max_size=4),
)
def test_good_leads_are_never_taken_for_repeating_a_name(
    optional: dict[str, bool], types: list[str], ids: list[Json]
) -> None:
    values = {"source": "crm", "created_at": "2024-04-01T10:00:00Z", "customer": {"name": "B", "email": "b@c"}}
    fields = {name: values[name] if given else None for name, given in optional.items()}
    actions = [action(types[0] if own.get("id") else each) | own for each, own in zip(types, ids, strict=False)]
    sent = [lead("x", *actions, **fields), lead("y")]
    for ensure_ascii in (True, False):
        body = json.dumps(sent, ensure_ascii=ensure_ascii).encode()
        read = leads_from_body(body, ndjson=False, now=datetime.now(UTC), most_leads=2, most_actions=4)
        assert len(read.leads) == 2
        assert read.errors == []


async def test_a_thousand_and_one_errors_are_all_named(refused: Callable[..., Any]) -> None:
    document = await refused([lead("good"), *(lead(f"bad-{n}", action(level="?")) for n in range(1001))])
    assert [error["index"] for error in document["errors"]] == list(range(1, 1002))
    assert document["errors"][-1]["pointer"] == "#/1001/actions/0/engagement_level"
    assert document["detail"] == (
        "Nothing was accepted: #/1/actions/0/engagement_level must be High, Medium or Low, and 1000 more."
    )


@pytest.mark.parametrize("ndjson", [False, True])
def test_millions_of_faults_take_little_memory(ndjson: bool) -> None:
    action_of_three_faults = '{"engagement_level":"x"}'
    bad = '{"actions":[' + ",".join([action_of_three_faults] * 1000) + "]}"
    body = ("\n".join([bad] * 300) if ndjson else "[" + ",".join([bad] * 300) + "]").encode()
    tracemalloc.start()
    try:
        read = leads_from_body(body, ndjson=ndjson, now=datetime.now(UTC), most_leads=10_000, most_actions=1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 10_000 <= len(read.errors) <= 13_000
    assert {error.index for error in read.errors} == set(range(300))
    assert peak < 100 * len(body) / (30 if ndjson else 3)


@pytest.mark.parametrize("body", [b"0\n" * 4_000_000, b"x\n" * 4_000_000, b"[" + b"0," * 4_000_000 + b"0]"])
def test_too_many_leads_are_refused_before_they_are_read(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Problem) as refusal:
            leads_from_body(
                body, ndjson=not body.startswith(b"["), now=datetime.now(UTC), most_leads=10_000, most_actions=1000
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refusal.value.status_code == 413
    assert peak < 100_000_000


SQL = "'); DROP TABLE inbox; SELECT ('"


async def test_sql_is_only_text(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    sent = lead(SQL, action(SQL), source=SQL, customer_id=SQL, product_id=SQL, lead_type=SQL)
    sent["customer"] = {"name": SQL, "email": "a@b"}
    assert (await client.post("/leads", json=sent)).status_code == 202
    document = check_problem(await client.post("/leads", json=lead(**{SQL: SQL}, created_at=SQL)), 400)
    assert [error["pointer"] for error in document["errors"]] == [f"#/{SQL}", "#/created_at"]
    for query in ("customer", "partner", "product"):
        check_problem(await client.get("/leads", params={query: SQL}), 404)
    assert (await client.get("/leads", params={"lead_type": SQL})).json()["items"] == []
    async with transaction(engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM inbox") == 1


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json; charset=latin-1", "x"],
)
async def test_another_content_type(refused: Callable[..., Any], kind: str) -> None:
    await refused([lead()], 415, {"content-type": kind})


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x"])
async def test_another_encoding(refused: Callable[..., Any], encoding: str) -> None:
    await refused([lead()], 415, {"content-encoding": encoding})


PACKED = gzip.compress(json.dumps([lead()]).encode())


@pytest.mark.parametrize(
    ("packed", "status"),
    [
        (b"not gzip", 400),
        (b"", 400),
        (PACKED[:-1], 400),
        (PACKED[:20], 400),
        (PACKED[:-8] + b"\0" * 8, 400),
        (PACKED + b"garbage", 400),
        (gzip.compress(b"not json"), 400),
        (gzip.compress(b""), 400),
        (gzip.compress(b"") * 1001 + PACKED, 400),
        (gzip.compress(b"[" + b" " * 17_000_000), 413),
        (gzip.compress(b" " * 1_000_000_000, 9), 413),
        (gzip.compress(b" " * 1000) * 17_000, 400),
    ],
    ids=range(12),
)
async def test_bad_gzip(refused: Callable[..., Any], packed: bytes, status: int) -> None:
    await refused(packed, status, {"content-encoding": "gzip"})


async def test_a_body_that_is_too_large(refused: Callable[..., Any]) -> None:
    document = await refused(b" " * (16 * 1024 * 1024 + 1), 413)
    assert document["detail"] == "The body is larger than 16777216 bytes, which is the most that is taken here."


@pytest.mark.parametrize("query", ["dry-run=true", "dryrun=true", "partial=true&Partial=true", "x=%00", "%ff=1"])
async def test_a_mistyped_parameter_must_not_bill(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, query: str
) -> None:
    document = check_problem(await shared_client.post(f"/leads?{query}", json=lead()), 400)
    assert document["errors"][0]["detail"] == "is not a known parameter"
    assert "dry_run" in document["detail"]
    async with transaction(shared_engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM inbox") == 0


async def test_a_parameter_with_a_value_it_does_not_take(refused: Callable[..., Any]) -> None:
    assert (await refused([lead()], dry_run="perhaps"))["errors"][0]["pointer"] == "query:dry_run"
