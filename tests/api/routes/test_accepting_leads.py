"""POST /leads: what is accepted, how it is spelled afterwards, and what became of it."""

import asyncio
import gzip
import json
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.intake import worker_batch
from db.intake.decision import process
from db.ledger import single_changes
from db.ledger.policies import Policies
from tests.api.world import (
    Json,
    accept,
    action,
    bill,
    check_problem,
    decide,
    get,
    lead,
    make,
    make_masters,
    make_masters_once,
    row_counts,
)

NDJSON = {"content-type": "application/x-ndjson"}


async def _inbox_leads(engine: AsyncEngine) -> int:
    async with transaction(engine) as connection:
        count: int = await connection.fetchval("SELECT coalesce(sum(lead_count), 0) FROM inbox")
        return count


async def test_one_lead_is_answered_with_its_batch(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    response = await client.post("/leads", json=lead())
    assert response.status_code == 202
    content = response.json()
    assert content == {
        "batch_id": content["batch_id"],
        "accepted": 1,
        "status_url": f"/leads/batches/{UUID(content['batch_id'])}",
    }
    assert response.headers["location"] == content["status_url"]
    assert await _inbox_leads(engine) == 1


async def test_a_list_of_leads(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    assert (await accept(client, *(lead(f"lead-{n}") for n in range(1201))))["accepted"] == 1201
    async with transaction(engine) as connection:
        assert [row[0] for row in await connection.fetch("SELECT lead_count FROM inbox ORDER BY part")] == [
            500,
            500,
            201,
        ]


async def test_one_lead_per_line(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    lines = "\n".join(json.dumps(lead(f"lead-{n}")) for n in range(3)) + "\n\n"
    for kind in ("application/x-ndjson", "application/x-ndjson; charset=UTF-8", "application/jsonl"):
        response = await client.post("/leads", content=lines.replace("\n", "\r\n"), headers={"content-type": kind})
        assert response.status_code == 202, response.text
        assert response.json()["accepted"] == 3
    assert await _inbox_leads(engine) == 9


async def test_gzip_in_one_or_several_members(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    body = json.dumps([lead(f"lead-{n}") for n in range(2000)]).encode()
    for packed in (
        gzip.compress(body),
        gzip.compress(body[:70_000]) + gzip.compress(b"") + gzip.compress(body[70_000:]),
    ):
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        response = await client.post("/leads", content=packed, headers=headers)
        assert response.status_code == 202, response.text
        assert response.json()["accepted"] == 2000
    assert await _inbox_leads(engine) == 4000


async def test_concurrent_requests_are_all_accepted_once(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    answers = await asyncio.gather(*(accept(client, lead(f"lead-{n}")) for n in range(100)))
    assert len({answer["batch_id"] for answer in answers}) == 100
    await decide(engine, policies)
    states = [(await get(client, answer["status_url"]))["leads"] for answer in answers]
    assert states == [{"new": 1, "extended": 0, "replayed": 0, "quarantined": 0}] * 100


async def test_partial_accepts_the_good_leads_and_names_the_bad_ones(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    leads = [lead("good"), lead("bad", action(level="Great")), lead("also good")]
    document = check_problem(await client.post("/leads", json=leads), 400)
    assert await _inbox_leads(engine) == 0
    response = await client.post("/leads", params={"partial": "true"}, json=leads)
    assert response.status_code == 202
    fault = {"pointer": "#/1/actions/0/engagement_level", "index": 1, "detail": "must be High, Medium or Low"}
    assert response.json()["rejected"] == document["errors"] == [fault]
    assert response.json()["accepted"] == 2
    assert await _inbox_leads(engine) == 2
    check_problem(await client.post("/leads", params={"partial": "true"}, json=leads[1:2]), 400)
    assert (await client.post("/leads", params={"partial": "true"}, json=leads[:1])).json()["rejected"] == []
    assert await _inbox_leads(engine) == 3


async def test_partial_with_broken_lines(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    body = f"{json.dumps(lead('a'))}\n{{broken\n{json.dumps(lead('b'))}"
    response = await client.post("/leads", params={"partial": "true"}, content=body, headers=NDJSON)
    assert response.status_code == 202
    (fault,) = response.json()["rejected"]
    assert fault["pointer"] == "#/1"
    assert fault["index"] == 1
    assert fault["detail"].startswith("is not valid JSON")
    assert await _inbox_leads(engine) == 2


async def test_dry_run_answers_the_verdicts_and_writes_nothing(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client, cap="12.00")
    await bill(client, engine, policies, lead("lead-1", action(at="2024-04-01T10:00:00Z")))
    leads = [
        lead("lead-1", action(at="2024-04-01T10:00:00Z"), action("Call", "Medium", "2024-04-02T10:00:00Z")),
        lead("lead-2", action(at="2024-04-03T10:00:00Z")),
        lead("lead-3", customer_id="ben", customer={"name": "Ben", "email": "ben@example.com"}),
        lead("lead-4", product_id="unknown"),
        lead("lead-1", action(), product_id="unknown"),
    ]
    before = await row_counts(engine)
    response = await client.post("/leads", params={"dry_run": "true"}, json=leads)
    assert response.status_code == 200, response.text
    assert await row_counts(engine) == before
    assert await _inbox_leads(engine) == 1
    content = response.json()
    assert content["dry_run"] is True
    assert content["rejected"] == []
    tried = content["leads"]
    assert [each["state"] for each in tried] == ["done", "done", "done", "quarantined", "quarantined"]
    assert [a["outcome"] for a in tried[0]["actions"]] == ["billed", "partly_billed"]
    assert [a["billed"] for a in tried[0]["actions"]] == ["10.00", "2.00"]
    assert [a["outcome"] for a in tried[1]["actions"]] == ["duplicate"]
    assert tried[2]["customer"]["email"] == "ben@example.com"
    assert tried[3]["problem"] == {"reason": "unknown_product", "detail": "No product 'unknown' is known."}
    assert tried[4]["problem"]["reason"] == "conflict"
    await bill(client, engine, policies, *leads)
    for each in tried[:3]:
        real = await get(client, f"/leads/{each['lead_id']}")
        assert _but_for_the_moment(real) == _but_for_the_moment(each)


def _but_for_the_moment(lead: Json) -> Json:
    return {name: value for name, value in lead.items() if name not in ("received_at", "created_at")}


async def test_dry_run_refuses_what_the_door_refuses(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    leads = [lead("good"), lead("bad", action(at="2024-04-01"))]
    check_problem(await client.post("/leads", params={"dry_run": "true"}, json=leads), 400)
    both = {"dry_run": "true", "partial": "true"}
    content = (await client.post("/leads", params=both, json=leads)).json()
    assert [each["lead_id"] for each in content["leads"]] == ["good"]
    assert [fault["index"] for fault in content["rejected"]] == [1]
    many = [lead(f"lead-{n}") for n in range(501)]
    check_problem(await client.post("/leads", params={"dry_run": "true"}, json=many), 413)
    large = [lead(f"large-{n}", *[action()] * 834) for n in range(6)]
    refused = await client.post("/leads", params={"dry_run": "true"}, json=large)
    assert "5000 actions at most; these leads hold 5004" in check_problem(refused, 413)["detail"]
    assert await _inbox_leads(engine) == 0


async def test_requests_leave_a_large_customer_that_new_terms_changed_to_the_task(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it has judged all their actions again, dry runs and holds are answered 503."""
    monkeypatch.setattr(single_changes, "MOST_ACTIONS_AT_ONCE", 0)
    await make_masters(client)
    await bill(client, engine, policies, lead("lead-1"))
    action_id = (await get(client, "/leads/lead-1"))["actions"][0]["action_id"]
    assert (await client.patch("/api/partners/acme", json={"cap": "5.00"})).status_code == 200
    before = await row_counts(engine)
    for path, body in (("/leads?dry_run=true", lead("lead-2")), (f"/api/actions/{action_id}/hold", {"reason": "r"})):
        response = await client.post(path, json=body)
        assert "judged by new terms or rates just now" in check_problem(response, 503)["detail"]
        assert response.headers["Retry-After"] == "2"
    assert await row_counts(engine) == before
    (action_now,) = (await get(client, "/leads/lead-1"))["actions"]
    assert action_now["outcome"] == "billed"


async def test_a_source_numbers_its_own_leads(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    status = await bill(
        client,
        engine,
        policies,
        lead("1"),
        lead("1", action("Call"), source="crm"),
        lead("1", action("Visit"), source=None),
    )
    assert status["leads"] == {"new": 2, "extended": 1, "replayed": 0, "quarantined": 0}
    own = await get(client, "/leads/1")
    assert own["source"] is None
    assert [each["action_type"] for each in own["actions"]] == ["Click", "Visit"]
    of_crm = await get(client, "/leads/1", source="crm")
    assert of_crm["source"] == "crm"
    assert [each["action_type"] for each in of_crm["actions"]] == ["Call"]
    assert (await get(client, f"/leads/{of_crm['id']}"))["source"] == "crm"
    check_problem(await client.get("/leads/1", params={"source": "other"}), 404)


async def test_r3_an_action_is_shown_with_the_id_it_was_sent_with(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    sent = lead("lead-1", action() | {"id": "evt-1"}, action("Signup"))
    waiting = await accept(client, sent)
    assert [each["external_id"] for each in (await get(client, "/leads/lead-1"))["actions"]] == ["evt-1", None]
    await decide(engine, policies)
    assert (await get(client, waiting["status_url"]))["leads"]["new"] == 1
    found = (await get(client, "/leads/lead-1"))["actions"]
    assert {each["action_type"]: each["external_id"] for each in found} == {"Click": "evt-1", "Signup": None}
    assert (await get(client, f"/api/actions/{found[0]['action_id']}"))["external_id"] == found[0]["external_id"]
    wrong = lead("lead-1", action(level="Low") | {"id": "evt-1"})
    tried = await client.post("/leads", params={"dry_run": "true"}, json=wrong)
    assert tried.json()["leads"][0]["problem"]["reason"] == "action_conflict"
    status = await bill(client, engine, policies, wrong)
    detail = "Action 'evt-1' of lead 'lead-1' is known with another level; the first one stands."
    assert status["problems"] == [{"index": 0, "lead_id": "lead-1", "reason": "action_conflict", "detail": detail}]
    (listed,) = (await get(client, "/api/quarantine", reason="action_conflict"))["items"]
    assert (listed["lead_id"], listed["detail"]) == ("lead-1", detail)


async def test_a_customer_described_in_a_lead_is_created(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    status = await bill(
        client,
        engine,
        policies,
        lead("1", customer_id="ben", customer={"name": " Ben ", "email": " Ben@Example.COM "}),
        lead("2", action("Call"), customer_id="benjamin", customer={"name": "Other", "email": "ben@example.com"}),
        lead("3", action("Visit"), customer_id="ben", customer={"name": "Other", "email": "other@example.com"}),
    )
    assert status["leads"]["new"] == 3
    ben = await get(client, "/api/customers/ben")
    assert (ben["name"], ben["email"], ben["aliases"]) == ("Ben", "ben@example.com", ["benjamin"])
    assert (await get(client, "/api/customers/benjamin")) == ben
    assert (await get(client, "/leads/2"))["customer"]["external_id"] == "ben"


async def test_texts_are_normalised_and_compared_folded_with_their_spelling_kept(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    decomposed = unicodedata.normalize("NFD", "Café Straße")
    await bill(
        client,
        engine,
        policies,
        lead("1", action(f"  {decomposed}\t", " hIgH "), lead_type=f" {decomposed} "),
        lead("1", action("CAFÉ STRASSE", "HIGH"), lead_type="café strasse"),
        lead("2", action("cafÉ strasse", "high", "2024-04-02T00:00:00Z")),
    )
    stored = await get(client, "/leads/1")
    assert stored["lead_type"] == "Café Straße"
    (only,) = stored["actions"]
    assert (only["action_type"], only["engagement_level"], only["value"]) == ("Café Straße", "hIgH", "10.00")
    (duplicate,) = (await get(client, "/leads/2"))["actions"]
    assert duplicate["outcome"] == "duplicate"
    assert duplicate["duplicate_of"] == only["action_id"]


async def test_ids_are_compared_byte_for_byte(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    ids = ["A", "a", " a", "a ", "é", "e\u0301", "ß", "ss"]
    status = await bill(client, engine, policies, *(lead(each) for each in ids))
    assert status["leads"]["new"] == len(ids)
    for each in ids:
        assert (await get(client, f"/leads/{quote(each, safe='')}"))["lead_id"] == each


@pytest.mark.parametrize(
    "lead_id",
    [
        "a/b",
        "a//b/",
        "/a",
        "100%",
        "%2F",
        "%25",
        "a b",
        "a?b#c&d=e",
        "+",
        "ä/ö",
        "😀",
        "a\\b",
        "'; DROP TABLE leads;--",
        "x" * 200,
    ],
)
async def test_every_id_is_reachable(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, policies: Policies, lead_id: str
) -> None:
    await make_masters_once(shared_client)
    await accept(shared_client, lead(lead_id))
    path = f"/leads/{quote(lead_id, safe='')}"
    assert (await get(shared_client, path))["state"] == "waiting"
    await decide(shared_engine, policies)
    assert (await get(shared_client, path))["lead_id"] == lead_id


async def test_an_id_that_is_also_a_path_is_reachable_by_its_uuid(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead("batches"))
    (listed,) = (await get(client, "/leads"))["items"]
    assert (await get(client, f"/leads/{listed['id']}"))["lead_id"] == "batches"


async def test_only_the_usual_form_of_a_uuid_counts_as_one(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    usual = str(uuid4())
    status = await bill(client, engine, policies, lead(usual), lead(usual.upper()), lead(usual.replace("-", "")))
    assert status["leads"] == {"new": 2, "extended": 0, "replayed": 1, "quarantined": 0}
    assert (await get(client, f"/leads/{usual}"))["id"] == usual
    assert (await get(client, f"/leads/{usual.replace('-', '')}"))["id"] != usual


async def test_the_status_of_a_batch(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> None:
    await make_masters(client, cap="12.00")
    await bill(client, engine, policies, lead("old"))
    status_url = (
        await accept(
            client,
            lead("old"),
            lead("old", action(), action("Call", "Medium", "2024-04-02T00:00:00Z")),
            lead("new", action(at="2024-04-03T00:00:00Z"), action("Visit", at="2024-04-04T00:00:00Z")),
            lead("nobody", customer_id="nobody"),
            lead("old", action(), lead_type="Other"),
        )
    )["status_url"]
    waiting = await get(client, status_url)
    assert waiting == {
        "batch_id": status_url.rpartition("/")[2],
        "state": "waiting",
        "received_at": waiting["received_at"],
        "done_at": None,
        "accepted": 5,
        "leads": {"new": 0, "extended": 0, "replayed": 0, "quarantined": 0},
        "actions": dict.fromkeys(
            ("billed", "partly_billed", "capped", "duplicate", "held", "replayed", "quarantined"), 0
        ),
        "possible_correction_count": 0,
        "problems": [],
        "problems_next": None,
        "possible_corrections": [],
        "possible_corrections_next": None,
    }
    await decide(engine, policies)
    done = await get(client, status_url)
    assert done == waiting | {
        "state": "done",
        "done_at": done["done_at"],
        "leads": {"new": 1, "extended": 1, "replayed": 1, "quarantined": 2},
        "actions": {
            "billed": 0,
            "partly_billed": 1,
            "capped": 1,
            "duplicate": 1,
            "held": 0,
            "replayed": 2,
            "quarantined": 2,
        },
        "problems": [
            {"index": 3, "lead_id": "nobody", "reason": "unknown_customer", "detail": "No customer 'nobody' is known."},
            {
                "index": 4,
                "lead_id": "old",
                "reason": "conflict",
                "detail": "Lead 'old' is known with another lead type; the first one stands.",
            },
        ],
    }
    assert datetime.fromisoformat(done["done_at"]) >= datetime.fromisoformat(done["received_at"])


async def test_batches_are_listed_newest_first(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    posted = [(await accept(client, lead(f"lead-{n}")))["batch_id"] for n in range(5)]
    first = await get(client, "/leads/batches", limit=2)
    await accept(client, lead("another"))
    second = await get(client, "/leads/batches", limit=2, after=first["next"])
    third = await get(client, "/leads/batches", limit=2, after=second["next"])
    seen = [batch["batch_id"] for page in (first, second, third) for batch in page["items"]]
    assert seen == posted[::-1]
    assert third["next"] is None


async def test_what_is_long_about_a_batch_is_paged_and_the_list_of_batches_has_counts_only(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    """Failed before: `?limit=500` answered every problem of every batch."""
    await make_masters(client)
    known = [lead(f"lead-{number}", action(level="High")) for number in range(120)]
    await bill(client, engine, policies, *known)
    again = [lead(f"lead-{number}", action(level="Low")) for number in range(120)]
    unknown = [lead(f"new-{number}", product_id="nowhere") for number in range(103)]
    batch = await bill(client, engine, policies, *again, *unknown)
    assert (batch["leads"]["quarantined"], batch["possible_correction_count"]) == (103, 120)
    for name, number in (("problems", 103), ("possible_corrections", 120)):
        path = f"/leads/batches/{batch['batch_id']}/{name.replace('_', '-')}"
        rest = await get(client, path, after=batch[f"{name}_next"])
        found = batch[name] + rest["items"]
        assert (len(batch[name]), len(found), rest["next"]) == (100, number, None)
        indexes = [each["index"] for each in found]
        assert indexes == sorted(set(indexes))
        pages: list[Json] = []
        after = None
        while after is not None or not pages:
            page = await get(client, path, limit=37, **({"after": after} if after else {}))
            pages, after = pages + page["items"], page["next"]
        assert pages == found
        check_problem(await client.get(path.replace(batch["batch_id"], str(uuid4()))), 404)
    listed = (await get(client, "/leads/batches"))["items"][0]
    counts = ("problems", "problems_next", "possible_corrections", "possible_corrections_next")
    assert listed == {name: value for name, value in batch.items() if name not in counts}


async def test_a_dead_letter_is_shown_and_can_be_retried(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_masters(client)
    real = process

    async def poisoned(connection: Any, policies: Any, arrivals: Any, *more: Any) -> Any:
        if any(arrival.lead.external_id == "poison" for arrival in arrivals):
            raise ZeroDivisionError
        return await real(connection, policies, arrivals, *more)

    monkeypatch.setattr("db.intake.decision.process", poisoned)
    status = await bill(client, engine, policies, lead("good"), lead("poison"))
    assert status["leads"] == {"new": 1, "extended": 0, "replayed": 0, "quarantined": 0, "dead": 1}
    assert status["accepted"] == 2
    shown = await get(client, "/leads/poison")
    assert (shown["state"], shown["problem"]["reason"]) == ("quarantined", "fault")
    (letter,) = (await get(client, "/api/quarantine/dead-letters"))["items"]
    assert letter["error"] == "ZeroDivisionError()"
    monkeypatch.undo()
    assert (await client.post("/api/quarantine/dead-letters/retry", json={})).json() == {
        "retried": 1,
        "of": 1,
        "next": None,
    }
    await decide(engine, policies)
    assert (await get(client, "/leads/poison"))["state"] == "done"
    status = await get(client, f"/leads/batches/{status['batch_id']}")
    assert status["accepted"] == 2
    assert status["leads"] == {"new": 2, "extended": 0, "replayed": 0, "quarantined": 0}
    assert (await get(client, "/api/quarantine/dead-letters"))["items"] == []


async def test_an_instant_may_lie_a_day_ahead(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    soon = (datetime.now(UTC) + timedelta(hours=23)).isoformat()
    await bill(client, engine, policies, lead("soon", action(at=soon), created_at=soon))
    late = (datetime.now(UTC) + timedelta(hours=25)).isoformat()
    document = check_problem(await client.post("/leads", json=lead("late", action(at=late), created_at=late)), 400)
    detail = "lies more than 24 hours ahead"
    assert document["errors"] == [
        {"pointer": "#/created_at", "index": 0, "detail": detail},
        {"pointer": "#/actions/0/timestamp", "index": 0, "detail": detail},
    ]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("2024-04-01T12:00:00+02:00", "2024-04-01T10:00:00Z"),
        ("2024-04-01t10:00:00z", "2024-04-01T10:00:00Z"),
        ("2024-04-01 10:00:00.5-00:00", "2024-04-01T10:00:00.500000Z"),
        ("2024-04-01T10:00:00.123456Z", "2024-04-01T10:00:00.123456Z"),
        ("1901-01-01T14:00:00+14:00", "1901-01-01T00:00:00Z"),
    ],
)
async def test_instants_are_kept_to_the_microsecond(
    shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, policies: Policies, sent: str, shown: str
) -> None:
    await make_masters_once(shared_client)
    await bill(shared_client, shared_engine, policies, lead(sent, action(at=sent), created_at=sent))
    stored = await get(shared_client, f"/leads/{quote(sent)}")
    assert (stored["created_at"], stored["actions"][0]["occurred_at"]) == (shown, shown)


async def test_the_largest_request(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    leads = [lead(f"lead-{n}") for n in range(10_000)]
    assert (await accept(client, *leads))["accepted"] == 10_000
    document = check_problem(await client.post("/leads", json=[*leads, lead("one more")]), 413)
    assert document["detail"] == "A request may hold 10000 leads at most; this one holds 10001."
    lines = "\n".join(map(json.dumps, [*leads, lead("one more")]))
    check_problem(await client.post("/leads", content=lines, headers=NDJSON), 413)
    assert await _inbox_leads(engine) == 10_000


async def test_a_lead_of_quarantine_is_shown_with_the_reason(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    status = await bill(client, engine, policies, lead("x", source="crm"))
    assert status["leads"]["quarantined"] == 1
    shown = await get(client, "/leads/x", source="crm")
    assert shown["state"] == "quarantined"
    assert shown["problem"] == {"reason": "unknown_product", "detail": "No product 'widget' is known."}
    assert (shown["customer"], shown["product"], shown["totals"]) == ({"external_id": "anna"}, "widget", None)
    check_problem(await client.get("/leads/x"), 404)
    check_problem(await client.get(f"/leads/batches/{uuid4()}"), 404)
    await make(client, "partners", external_id="acme", name="Acme")
    await make(client, "products", external_id="widget", partner="acme", name="Widget")
    await make(client, "customers", external_id="anna", name="Anna", email="anna@example.com")
    assert await worker_batch.retry_quarantined(engine, policies) == 1
    assert (await get(client, "/leads/x", source="crm"))["state"] == "done"


async def test_r12_a_quarantined_lead_is_discarded_with_a_reason_that_is_kept(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    await bill(client, engine, policies, lead("wrong", product_id="nowhere"), lead("other", product_id="nowhere"))
    (number, _) = [each["id"] for each in (await get(client, "/api/quarantine"))["items"]]
    for body in ({"ids": [number]}, {"ids": [], "reason": "a test row"}, {"ids": [number], "reason": " "}):
        check_problem(await client.post("/api/quarantine/discard", json=body), 400)
    assert len((await get(client, "/api/quarantine"))["items"]) == 2
    discard = {"ids": [number, number + 1000], "reason": "a test row"}
    answer = await client.post("/api/quarantine/discard", json=discard)
    assert answer.json() == {"discarded": 1, "not_open": [number + 1000]}
    assert [each["lead_id"] for each in (await get(client, "/api/quarantine"))["items"]] == ["other"]
    (left,) = (await get(client, "/api/quarantine", state="discarded"))["items"]
    assert (left["lead_id"], left["state"], left["left_because"]) == ("wrong", "discarded", "a test row")
    assert left["left_by"]
    assert left["left_at"]
    found = await get(client, "/leads/wrong")
    assert (found["state"], found["problem"]) == ("discarded", {"reason": "discarded", "detail": "a test row"})
    assert "leadger_quarantined_leads 1.0" in (await client.get("/metrics")).text
    again = await client.post("/api/quarantine/discard", json=discard)
    assert again.json() == {"discarded": 0, "not_open": [number, number + 1000]}
