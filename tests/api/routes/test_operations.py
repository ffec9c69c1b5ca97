"""For operators: health, readiness, figures, documentation."""

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from api.pages.forms import number_from_text
from billing.errors import InvalidValue
from billing.local_amounts import minor_from_local
from db.core.engine import transaction
from db.intake import worker_batch
from db.ledger.policies import Policies
from tests.api.world import accept, action, bill, check_problem, get, lead, make, make_masters


async def _figures(client: httpx.AsyncClient) -> dict[str, float]:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return {
        ",".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_the_figures(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies) -> None:
    await make_masters(client, cap="12.00")
    await bill(
        client,
        engine,
        policies,
        lead("1", action(at="2024-04-01T00:00:00Z"), action(at="2024-04-02T00:00:00Z")),
        lead("2", action("Call", at="2024-04-03T00:00:00Z"), action("Visit", "Low", "2024-04-04T00:00:00Z")),
        lead("3", product_id="nothing"),
    )
    await bill(client, engine, policies, lead("1"), lead("2", action("Late", "Low", "2024-05-01T00:00:00Z")))
    await accept(client, lead("4"), lead("5"), lead("6"))
    figures = await _figures(client)
    assert {
        name: value for name, value in figures.items() if name.startswith("leadger_") and "_created" not in name
    } == {
        "leadger_leads_total,new": 2,
        "leadger_leads_total,extended": 2,
        "leadger_leads_total,replayed": 0,
        "leadger_leads_total,quarantined": 1,
        "leadger_leads_total,dead": 0,
        "leadger_leads_accepted_total": 8,
        "leadger_actions,billed": 2,
        "leadger_actions,partly_billed": 1,
        "leadger_actions,capped": 1,
        "leadger_actions,duplicate": 2,
        "leadger_actions,held": 0,
        "leadger_actions,returned": 0,
        "leadger_money_minor,EUR,gross": 4400,
        "leadger_money_minor,EUR,billed": 1400,
        "leadger_money_minor,EUR,credited": 0,
        "leadger_money_minor,EUR,duplicate_savings": 2000,
        "leadger_money_minor,EUR,cap_savings": 1000,
        "leadger_inbox_waiting_leads": 3,
        "leadger_inbox_oldest_seconds": figures["leadger_inbox_oldest_seconds"],
        "leadger_workers_paused_seconds": 0,
        "leadger_last_sweep_timestamp_seconds": 0,
        "leadger_quarantined_leads": 1,
        "leadger_dead_letters": 0,
        "leadger_mails_total,sent": 0,
        "leadger_mails_total,bounced": 0,
        "leadger_mails_waiting": 0,
        "leadger_mails_given_up": 0,
        "leadger_mails_oldest_seconds": 0,
        "leadger_tasks_unfinished": 0,
        "leadger_task_failures_total": 0,
        "leadger_invariant_violations": 0,
        "leadger_proof_differences": 0,
        "leadger_proof_oldest_seconds": 0,
        "leadger_billing_runs_total": 0,
        "leadger_billing_runs_failed_total": 0,
        "leadger_billing_run_seconds_total": 0,
        "leadger_billing_run_items_total,successful": 0,
        "leadger_billing_run_items_total,failed": 0,
        "leadger_billing_run_items_total,skipped": 0,
        "leadger_billing_run_items_total,waiting": 0,
        "leadger_billing_run_dead_letters": 0,
        "leadger_billing_last_look_timestamp_seconds": 0,
        "leadger_webhook_attempts_total,delivered": 0,
        "leadger_webhook_attempts_total,failed": 0,
        "leadger_webhook_messages_waiting": 0,
        "leadger_webhook_overdue_seconds": 0,
        "leadger_webhooks_disabled": 0,
        "leadger_batches_total": figures["leadger_batches_total"],
        "leadger_batch_seconds_total": figures["leadger_batch_seconds_total"],
        "leadger_notification_failures_total": 0,
        "leadger_doorbell_failures_total": 0,
        "leadger_requests_refused_total,rate": 0,
        "leadger_requests_refused_total,share": 0,
        "leadger_requests_refused_total,full": 0,
        "leadger_requests_refused_total,body_bytes": 0,
        "leadger_requests_refused_total,sign_in": 0,
    }
    assert 0 <= figures["leadger_inbox_oldest_seconds"] < 10
    assert figures["leadger_batches_total"] == 2
    assert 0 < figures["leadger_batch_seconds_total"] < 10
    assert figures["process_resident_memory_bytes"] > 0


async def test_a_dead_letter_is_counted_once_as_accepted(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_masters(client)

    async def poisoned(_connection: Any, _policies: Any, arrivals: Any, _people: Any) -> Any:
        if arrivals:
            raise ZeroDivisionError
        return {}

    with monkeypatch.context() as patch:
        patch.setattr("db.intake.decision.process", poisoned)
        await bill(client, engine, policies, lead())
    figures = await _figures(client)
    assert (figures["leadger_leads_accepted_total"], figures["leadger_dead_letters"]) == (1, 1)
    retried = await client.post("/api/quarantine/dead-letters/retry", json={"ids": [1]})
    assert retried.json() == {"retried": 1, "of": 1, "next": None}
    assert (await _figures(client))["leadger_leads_accepted_total"] == 1
    await worker_batch.process_inbox(engine, policies, 1000)
    figures = await _figures(client)
    assert (figures["leadger_leads_accepted_total"], figures["leadger_dead_letters"]) == (1, 0)


async def test_leads_that_wait_too_long_are_a_degraded_state(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await accept(client, lead())
    assert (await get(client, "/ready"))["degraded"] == []
    async with transaction(engine) as connection:
        await connection.execute("UPDATE inbox SET received_at = received_at - interval '90 seconds'")
    (fault,) = (await get(client, "/ready"))["degraded"]
    assert re.fullmatch(r"worker: leads have waited for 9\d s", fault)


async def test_the_documentation_needs_no_internet(shared_client: httpx.AsyncClient) -> None:
    page = await shared_client.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sorted(addresses) == [
        "/docs/assets/favicon-32x32.png",
        "/docs/assets/swagger-ui-bundle.js",
        "/docs/assets/swagger-ui.css",
    ]
    assert "http" not in re.sub(r"https?://www\.w3\.org", "", page.text).replace("httpOnly", "")
    for address in addresses:
        asset = await shared_client.get(address)
        assert asset.status_code == 200
        assert len(asset.content) > 500
    assert "url: '/openapi.json'" in page.text
    script = (await shared_client.get("/docs/assets/swagger-ui-bundle.js")).text
    assert "isOAS31" in script  # Swagger UI before 5 cannot show OpenAPI 3.1 at all


async def test_the_document_describes_every_route(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    schemes = document["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {"key": "http", "session": "apiKey"}
    names = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            route = f"{method} {path}"
            names.append(operation["operationId"])
            assert operation["description"].endswith("."), route
            assert operation["tags"], route
            assert {"4XX", "429", "500", "503"} <= operation["responses"].keys(), route
            assert "422" not in operation["responses"], route
            good = [response for status, response in operation["responses"].items() if status[0] == "2"]
            for response in good:
                for media in response.get("content", {}).values():
                    assert media.get("schema") != {} or "json" not in media, route
    assert len(names) == len(set(names))
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    made, changed = schemas["PartnerIn"]["properties"], schemas["PartnerChange"]["properties"]
    assert (made["cap"]["default"], made["dedup_window"]["default"]) == ("100.00", "forever")
    assert not [name for name, field in changed.items() if "default" in field]  # a client would send them


async def test_unknown_paths_and_methods(shared_client: httpx.AsyncClient) -> None:
    document = check_problem(await shared_client.get("/nothing/here?x=1"), 404)
    assert document["detail"] == "There is nothing at /nothing/here."
    document = check_problem(await shared_client.delete("/leads"), 405)
    assert document["detail"] == "DELETE is not allowed here."
    document = check_problem(await shared_client.put("/api/partners/x", json={}), 405)
    for nul in ("/api/tasks?kind=%00", "/bills?number=%00", "/search?q=a%00"):
        document = check_problem(await shared_client.get(nul), 400)
        assert document["errors"][0]["detail"] == "must not have the character NUL"
    for last in ("/activity?end=9999-12-31", "/settings/audit?end=9999-12-31"):
        assert (await shared_client.get(last)).status_code == 200
    assert number_from_text("9" * 5000) == "9" * 5000
    with pytest.raises(InvalidValue):
        minor_from_local("9" * 5000, ".")
    for path in ("/redoc", "/docs/oauth2-redirect"):
        check_problem(await shared_client.get(path), 404)


async def test_quarantine_by_pages_and_reasons(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    await make(client, "products", external_id="gadget", partner="acme", name="Gadget")
    await bill(client, engine, policies, lead("known"))
    await bill(
        client,
        engine,
        policies,
        *(lead(f"p-{n}", product_id="nothing") for n in range(3)),
        *(lead(f"c-{n}", customer_id="nobody") for n in range(2)),
        lead("known", product_id="gadget"),
    )
    path = "/api/quarantine"
    first = await get(client, path, limit=4)
    second = await get(client, path, limit=4, after=first["next"])
    ids = [item["lead_id"] for item in first["items"] + second["items"]]
    assert sorted(ids[:-1]) == ["c-0", "c-1", "p-0", "p-1", "p-2"]
    assert ids[-1] == "known"
    assert second["next"] is None
    for reason, count in (("unknown_product", 3), ("unknown_customer", 2), ("conflict", 1)):
        assert len((await get(client, path, reason=reason))["items"]) == count
    check_problem(await client.get(path, params={"reason": "mood"}), 400)
    shown = next(item for item in first["items"] + second["items"] if item["lead_id"] == "p-0")
    assert shown == {
        "id": shown["id"],
        "lead_id": "p-0",
        "source": None,
        "customer": "anna",
        "product": "nothing",
        "lead_type": "Website Visit",
        "actions": 1,
        "reason": "unknown_product",
        "detail": "No product 'nothing' is known.",
        "batch_id": shown["batch_id"],
        "received_at": shown["received_at"],
        "state": "open",
        "left_at": None,
        "left_by": None,
        "left_because": None,
    }
    for verb in ("retry", "dead-letters/retry"):
        bodies: list[Any] = [
            {"ids": []},
            {"ids": [0]},
            {"ids": [2**63]},
            {"ids": ["1"]},
            {"ids": [True]},
            {"ids": 1},
            [],
        ]
        for body in bodies:
            check_problem(await client.post(f"{path}/{verb}", json=body), 400)
    retried = await client.post(f"{path}/retry", json={"ids": [shown["id"]]})
    assert retried.status_code == 202
