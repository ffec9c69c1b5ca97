"""The access log: one line per answer, refusals too, and nothing in it that names a person."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from billing.roles import Role
from db.core.settings import Settings
from tests.api.world import accept, lead
from tests.people import new_person, session_headers


def _lines(text: str) -> dict[str, dict[str, Any]]:
    """The lines about answers, by request id."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {line["request_id"]: line for line in lines if line["event"] == "request_served"}


async def test_every_answer_is_found_by_its_request_id(
    client: httpx.AsyncClient, engine: AsyncEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = {}
    for method, path, status, route, key in (
        ("POST", "/leads", 202, "/leads", "tests"),
        ("GET", "/leads/anna@example.com", 404, "/leads/{lead_id:path}", "tests"),
        ("GET", "/api/customers/anna@example.com", 404, "/api/customers/{customer:path}", "tests"),
        ("GET", "/leads?customer=anna@example.com", 404, "/leads", "tests"),
        ("GET", "/nothing/anna@example.com", 404, "", "tests"),
        ("GET", "/health", 200, "/health", ""),
        ("DELETE", "/leads", 405, "/leads", "tests"),
    ):
        answer = await client.request(method, path, json=lead() if method == "POST" else None)
        expected[answer.headers["x-request-id"]] = (method, route, status, key)
    refused = await client.get("/leads", headers={"Authorization": "Bearer nobody"})
    expected[refused.headers["x-request-id"]] = ("GET", "/leads", 401, "")
    fin = await new_person(engine, "fin", Role.FINANCE)
    client.headers.pop("Authorization")
    seen = await client.get(f"/api/users/{fin.id}", headers=await session_headers(engine, fin))
    expected[seen.headers["x-request-id"]] = ("GET", "/api/users/{user_id}", 200, str(fin.id))  # and not the name
    written = capfd.readouterr().err
    lines = _lines(written)
    got = {name: (line["method"], line["route"], line["status"], line["key"]) for name, line in lines.items()}
    assert got == expected
    assert all(0 <= line["duration_ms"] < 60_000 for line in lines.values())
    assert "anna@example.com" not in written


async def test_one_setting_turns_it_off(settings: Settings, admin_key: str, capfd: pytest.CaptureFixture[str]) -> None:
    app: FastAPI = create_app(settings.model_copy(update={"access_log": False}))
    headers = {"Authorization": f"Bearer {admin_key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://leadger", headers=headers) as client,
    ):
        await accept(client, lead())
    assert _lines(capfd.readouterr().err) == {}
