"""The yardstick of acceptance: a bare FastAPI route that parses the same body and keeps nothing."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel

app = FastAPI()
typed_app = FastAPI()


class ActionIn(BaseModel):
    """An action as FastAPI's own documentation would declare it."""

    action_type: str
    timestamp: AwareDatetime
    engagement_level: str


class LeadIn(BaseModel):
    """A lead as FastAPI's own documentation would declare it."""

    lead_id: str
    customer_id: str
    product_id: str
    lead_type: str
    actions: list[ActionIn]


@app.post("/leads", status_code=202)
async def parse_leads(request: Request) -> JSONResponse:
    """Parse the JSON and count the leads: the least that a route can do with a body."""
    content: Any = await request.json()
    return JSONResponse({"accepted": len(content) if isinstance(content, list) else 1}, 202)


@typed_app.post("/leads", status_code=202)
async def validate_leads(content: LeadIn | list[LeadIn]) -> dict[str, int]:
    """Validate every field with pydantic, as a typed route does."""
    return {"accepted": len(content) if isinstance(content, list) else 1}


@app.get("/health")
@typed_app.get("/health")
async def live() -> dict[str, str]:
    """Whether it is up."""
    return {"status": "ok"}
