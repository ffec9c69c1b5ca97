"""The billing scheduler through HTTP: runs started by people, machines and GitHub."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.github_signature import is_signed
from api.app import create_app
from api.routes import billing_scheduler
from db.core.engine import transaction
from db.core.settings import Settings
from tests.api.office import Office
from tests.api.world import Json, check_problem, get, make_masters
from worker.tasks import runs

PATH = "/api/billing-scheduler"
SECRET = "case-secret"
PING = (
    '{"zen":"Anything added dilutes everything else.","hook_id":1,"repository":{"full_name":"demo/repo"},'
    '"sender":{"login":"démo"}}'
)
PING_FORM = (
    "payload=%7B%22zen%22%3A%22Anything%20added%20dilutes%20everything%20else.%22%2C%22hook_id%22%3A1%2C%22repository%22"
    "%3A%7B%22full_name%22%3A%22demo/repo%22%7D%2C%22sender%22%3A%7B%22login%22%3A%22d%C3%A9mo%22%7D%7D"
)
DISPATCH = {"ref": "refs/heads/main", "repository": {"full_name": "demo/repo"}, "workflow": "billing.yml"}


@pytest.fixture(autouse=True)
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is over when its task was run once, however slow the machine is."""
    monkeypatch.setattr(runs, "TURN_S", 60.0)


async def test_a_run_from_its_start_to_its_results(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """What April asks for is less than nothing, so its total is 0.00; the totals of the run add up the gross."""
    await office.lead_in("2024-03", "2024-04")
    less = {"partner": "acme", "period": "2024-04", "text": "Goodwill", "amount": "-15.00", "reason": "Agreed."}
    assert (await office.client.post("/api/adjustments", json=less)).status_code == 201
    started = await office.client.post(f"{PATH}/process-shop-billing/acme", json={"period": "2024-04"})
    assert started.status_code == 202, started.text
    run_id = started.json()["run_id"]
    assert started.headers["location"] == f"{PATH}/status?run={run_id}"
    (line,) = (await get(office.client, "/api/audit", what="billing_run.started"))["items"]
    assert (line["subject"], line["after"]) == (run_id, {"trigger": "api", "dry_run": False})
    await office.work()
    status = await get(office.client, f"{PATH}/status", run=run_id)
    (run,) = status["runs"]
    assert (run["state"], run["processed"], run["successful"], run["failed"]) == ("done", 2, 2, 0)
    assert run["progress"] == {"done": 2, "total": 2}
    assert run["totals"] == {"EUR": "6.00"}
    assert [(each["partner"], each["period"], each["gross"], each["total"]) for each in run["results"]] == [
        ("acme", "2024-03", "12.00", "12.00"),
        ("acme", "2024-04", "-6.00", "0.00"),
    ]
    assert status["next"] is None
    monkeypatch.setattr(billing_scheduler, "RESULTS_AT_ONCE", 1)
    first = await get(office.client, f"{PATH}/status", run=run_id)
    second = await get(office.client, f"{PATH}/status", run=run_id, after=first["next"])
    assert first["runs"][0]["results"] + second["runs"][0]["results"] == run["results"]
    bill = await get(office.client, f"/api/bills/{run['results'][0]['bill']}")
    assert bill["gross"] == "12.00"
    (line,) = (await get(office.client, "/api/audit", what="billing_run.started"))["items"]
    assert (line["subject"], line["after"]) == (run_id, {"trigger": "api", "dry_run": False})
    (listed,) = (await get(office.client, f"{PATH}/status"))["runs"]
    assert (listed["run_id"], listed["results"], listed["started_by"]["kind"]) == (run_id, [], "key")


async def test_webhooks_are_told_once_of_a_run_that_has_finished_and_not_of_a_dry_one(office: Office) -> None:
    made = await office.client.post("/api/webhooks", json={"url": "https://example.com/", "events": ["run.finished"]})
    assert made.status_code == 201, made.text
    await office.lead_in("2024-04")
    for dry_run in (True, False):
        body = {"period": "2024-04", "dry_run": dry_run}
        started = await office.client.post(f"{PATH}/process-shop-billing/acme", json=body)
        await office.work()
    (told,) = (await get(office.client, f"/api/webhooks/{made.json()['webhook_id']}/deliveries"))["items"]
    assert told["body"]["data"] == {
        "run_id": started.json()["run_id"],
        "error": None,
        "processed": 1,
        "successful": 1,
        "failed": 0,
        "skipped": 0,
        "waiting": 0,
        "totals": {"EUR": "12.00"},
    }


async def test_what_can_never_be_billed_is_refused_at_once(office: Office) -> None:
    async def refused(status: int, **body: Any) -> Json:
        return check_problem(await office.client.post(f"{PATH}/process-monthly-billing", json=body), status)

    assert (await refused(404, shop_ids=["nobody"]))["detail"] == "There is no partner 'nobody'."
    assert (await refused(409, period="2999-01"))["detail"] == "January 2999 has not ended yet."
    await office.lead_in("2024-04")
    never = await refused(409, period="2024-03", shop_ids=["acme"])
    assert never["detail"] == "Billing of this partner begins with April 2024."
    assert check_problem(await office.client.get(f"{PATH}/status", params={"run": office_uuid()}), 404)
    assert (await get(office.client, f"{PATH}/status"))["runs"] == []


def office_uuid() -> str:
    return "0f8fad5b-d9cb-469f-a165-70867728950e"


async def test_health_and_dead_letters(office: Office) -> None:
    health = await get(office.client, f"{PATH}/health")
    assert (health["status"], health["dead_letters"], health["enabled_at"]) == ("degraded", 0, None)
    assert health["degraded"] == ["Beat or the background workers are away: nobody has looked for ended months lately"]
    await office.lead_in("2024-04")
    async with transaction(office.engine) as connection:
        await connection.execute(
            """
            INSERT INTO billing_runs (id, trigger, dry_run, who_kind, who_name)
            VALUES (gen_random_uuid(), 'api', false, 'system', 'system')
            """
        )
        await connection.execute(
            """
            INSERT INTO billing_run_items
                (id, run_id, partner_id, period, portion, actions, attempts, outcome, error, finished_at)
            SELECT gen_random_uuid(), billing_runs.id, partners.id, 202404, 0, 1, 3, 'failed', 'Broken.', now()
            FROM billing_runs, partners
            """
        )
    (letter,) = (await get(office.client, f"{PATH}/dead-letters"))["items"]
    assert (letter["partner"], letter["period"], letter["error"], letter["attempts"]) == (
        "acme",
        "2024-04",
        "Broken.",
        3,
    )
    assert (await get(office.client, f"{PATH}/health"))["dead_letters"] == 1
    retried = await office.client.post(f"{PATH}/retry", json={"ids": [letter["id"]]})
    assert (retried.status_code, len(retried.json()["runs"])) == (202, 1)
    await office.work()
    assert (await get(office.client, f"{PATH}/dead-letters"))["items"] == []
    assert (await office.live("2024-04"))["gross"] == "12.00"


@pytest.fixture
async def github(settings: Settings, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a key, at a Leadger whose webhook is set up for demo/repo."""
    configured = settings.model_copy(update={"github_webhook_secret": SECRET, "github_repository": "demo/repo"})
    app = create_app(configured)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://leadger") as client,
    ):
        yield client


def signed(body: str, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


async def deliver(
    client: httpx.AsyncClient,
    event: str,
    payload: Json | str,
    *,
    delivery: str = "1",
    signature: str | bytes | None = None,
    kind: str = "application/json",
) -> httpx.Response:
    body = payload if isinstance(payload, str) else json.dumps(payload)
    headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "Content-Type": kind}
    sent: dict[str, str | bytes] = {**headers, "X-Hub-Signature-256": signed(body) if signature is None else signature}
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in sent.items()]
    return await client.post(f"{PATH}/github-webhook", content=body.encode(), headers=raw)


def test_the_example_that_github_publishes_is_signed() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert is_signed(b"Hello, World!", signature, "It's a Secret to Everybody")
    assert not is_signed(b"Hello, World?", signature, "It's a Secret to Everybody")


async def test_a_ping_as_json_and_as_a_form_does_nothing(github: httpx.AsyncClient, engine: AsyncEngine) -> None:
    as_json = "sha256=1d9005739a311c9640c304933f5d435017e647d8e5082828914c6c62c5c9609f"
    as_form = "sha256=6d4ce8dc9579d8b5737e50f513ccc83e039fd569db70eb2721f1be30e58f4ca1"
    form = "application/x-www-form-urlencoded"
    for answer in (
        await deliver(github, "ping", PING, signature=as_json),
        await deliver(github, "ping", PING_FORM, signature=as_form, kind=form),
    ):
        assert (answer.status_code, answer.json()["run_id"]) == (202, None), answer.text
        assert answer.json()["ignored"] == "ping starts nothing"
    assert await started_runs(engine) == []


_OTHER_SIGNATURES: list[str | bytes] = [
    "",
    "sha256=" + "0" * 64,
    "sha256=1D9005739A311C9640C304933F5D435017E647D8E5082828914C6C62C5C9609F",
    "sha1=1d9005739a311c9640c304933f5d435017e647d8",
    "sha256=dé".encode("latin-1"),
    "sha256=dé".encode(),
]


async def test_other_signatures_are_refused(github: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for signature in _OTHER_SIGNATURES:
        with subtests.test(repr(signature)):
            check_problem(await deliver(github, "ping", PING, signature=signature), 401)


async def test_an_empty_secret_refuses_all(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    check_problem(await deliver(client, "ping", PING, signature=signed(PING, "")), 401)
    check_problem(await deliver(client, "ping", PING, signature="sha256="), 401)


@pytest.mark.parametrize("times", [10, pytest.param(1000, marks=pytest.mark.slow)])
async def test_one_delivery_has_one_effect_however_often_it_comes(
    github: httpx.AsyncClient, engine: AsyncEngine, times: int
) -> None:
    answers = [await deliver(github, "workflow_dispatch", DISPATCH) for _ in range(times)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert await started_runs(engine) == [("workflow_dispatch of demo/repo", True)]
    await deliver(github, "workflow_dispatch", DISPATCH, delivery="2")
    assert len(await started_runs(engine)) == 2


async def test_events_ask_for_what_they_may(github: httpx.AsyncClient, engine: AsyncEngine) -> None:
    repository = DISPATCH["repository"]
    asked: list[tuple[str, Json, bool | None]] = [
        ("push", {"ref": "refs/heads/main", "repository": repository}, True),
        ("push", {"ref": "refs/heads/other", "repository": repository}, None),
        ("push", {"ref": "refs/heads/main", "repository": {"full_name": "other/repo"}}, None),
        (
            "workflow_run",
            {"action": "completed", "workflow_run": {"head_branch": "main"}, "repository": repository},
            True,
        ),
        (
            "workflow_run",
            {"action": "requested", "workflow_run": {"head_branch": "main"}, "repository": repository},
            None,
        ),
        ("workflow_dispatch", DISPATCH | {"inputs": {"dry_run": "false", "period": "2024-04"}}, False),
        ("workflow_dispatch", DISPATCH | {"inputs": {"dry_run": "no"}}, True),
        ("workflow_dispatch", DISPATCH | {"inputs": {"dry_run": 0}}, True),
        ("repository_dispatch", {"action": "billing", "branch": "main", "repository": repository}, True),
        (
            "repository_dispatch",
            {"action": "billing", "branch": "main", "repository": repository, "client_payload": {"dry_run": False}},
            False,
        ),
        ("repository_dispatch", {"action": "deploy", "branch": "main", "repository": repository}, None),
        ("issues", {"action": "opened", "repository": repository}, None),
    ]
    for number, (event, payload, dry) in enumerate(asked):
        before = len(await started_runs(engine))
        answer = await deliver(github, event, payload, delivery=str(number))
        assert answer.status_code == 202, answer.text
        new = (await started_runs(engine))[before:]
        assert [dry_run for _, dry_run in new] == ([] if dry is None else [dry]), (event, payload)
        assert (answer.json()["run_id"] is None) == (dry is None)


async def test_inputs_name_shops_and_a_month(github: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    await make_masters(client)
    inputs = {"shop_ids": " acme ,", "period": "2024-13"}
    answer = await deliver(github, "workflow_dispatch", DISPATCH | {"inputs": inputs})
    assert check_problem(answer, 400)["detail"].startswith("The period must be a month")
    answer = await deliver(github, "workflow_dispatch", DISPATCH | {"inputs": inputs | {"period": "2024-04"}})
    (run,) = (await get(client, f"{PATH}/status", run=answer.json()["run_id"]))["runs"]
    assert (run["period"], run["trigger"], run["started_by"]["kind"]) == ("2024-04", "github", "system")
    unknown = await deliver(github, "workflow_dispatch", DISPATCH | {"inputs": {"shop_ids": "nobody"}}, delivery="3")
    check_problem(unknown, 404)


async def started_runs(engine: AsyncEngine) -> list[tuple[str, bool]]:
    async with transaction(engine) as connection:
        rows = await connection.fetch("SELECT trigger_source, dry_run FROM billing_runs ORDER BY started_at, id")
    return [(row["trigger_source"], row["dry_run"]) for row in rows]
