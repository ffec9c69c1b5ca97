"""What the OpenAPI document says beyond what FastAPI sees: keys, problems, and bodies that routes read themselves."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.access.authentication import FOR_ANYBODY
from api.access.cookies import SESSION
from api.schemas.examples import EXAMPLES

DESCRIPTION = """
Leads come in at `POST /leads`. Every action of a lead is valued, billed at most once and never beyond the customer's
cap, and says in one sentence why it was or was not billed. Reports add it all up per partner and month.

- **Key**: every path but `/health`, `/ready` and the documentation wants `Authorization: Bearer <key>`, or the cookie
  of a person who has signed in at `POST /api/session`; with a cookie, what changes something carries `X-CSRF-Token`.
  Each path says what it needs; the permission `admin` implies all others.
- **Ids** are UUIDs or your own: 1 to 200 characters, no control characters, percent-encoded in a path. A lead,
  partner, product or customer whose id is also a path of ours (`batches`, `acme/terms`) is found by its list:
  `GET /leads?lead_id=batches`, `GET /api/partners?partner=acme/terms`.
- **Money** is a decimal string (`"10.00"`) with a currency beside it. **Instants** are RFC 3339 with a time zone.
- **Texts**: white space of any kind is one space, invisible characters go. A `+` in a query is written `%2B`.
- **Pages**: as long as `next` is not null, send it as `after`.
- **Errors** are problem documents (RFC 9457): a message in `detail`, every bad field in `errors`.
- **429 and 503** say in `Retry-After` when to try again, which is safe: a lead that is sent twice counts once.
"""

_INSTANT = {"type": "string", "format": "date-time", "examples": ["2024-04-01T10:00:00Z"]}
_ID = {"type": "string", "minLength": 1, "maxLength": 200}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}

_ACTION: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["action_type", "timestamp", "engagement_level"],
    "properties": {
        "id": {
            "anyOf": [_ID, {"type": "null"}],
            "description": "an id of your own, unique in the lead: sent again with another type, level or instant it is"
            " a conflict. Without one, an action is known by these three",
        },
        "action_type": _TEXT | {"examples": ["Form Submission"]},
        "timestamp": _INSTANT
        | {"description": "when it happened; at most 6 fraction digits but for zeros, and 24 hours ahead"},
        "engagement_level": {"type": "string", "enum": ["High", "Medium", "Low"], "description": "in any case"},
    },
}
_LEAD: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["lead_id", "customer_id", "product_id", "lead_type", "actions"],
    "properties": {
        "lead_id": _ID | {"examples": ["docs-lead-1"]},
        "source": {"anyOf": [_ID, {"type": "null"}], "description": "who numbered the lead; ids are unique per source"},
        "customer_id": _ID | {"examples": ["customer-123"]},
        "customer": {
            "anyOf": [
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name", "email"],
                    "properties": {"name": _TEXT, "email": _TEXT | {"format": "email", "maxLength": 320}},
                },
                {"type": "null"},
            ],
            "description": "creates the customer if the id is unknown; changes nobody who is known",
        },
        "product_id": _ID | {"examples": ["product-abc"]},
        "lead_type": _TEXT | {"examples": ["Website Visit"]},
        "created_at": {"anyOf": [_INSTANT, {"type": "null"}], "description": "by default when it was received"},
        "actions": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "items": {"$ref": "#/components/schemas/ActionIn"},
        },
    },
    "example": {
        "lead_id": "docs-lead-1",
        "customer_id": "customer-123",
        "product_id": "product-abc",
        "lead_type": "Website Visit",
        "actions": [
            {"action_type": "Documentation Visit", "timestamp": "2024-06-03T10:05:00Z", "engagement_level": "High"}
        ],
    },
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "the message: what is wrong and what to do"},
        "instance": {"type": "string", "format": "uri-reference"},
        "request_id": {"type": "string", "description": "under which the log tells more"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "examples": ["#/2/actions/0/timestamp"]},
                    "index": {"type": "integer", "description": "which lead of the request"},
                    "detail": {"type": "string"},
                },
            },
        },
        "errors_left_out": {"type": "integer"},
        "state": {"type": ["string", "null"], "description": "of the bill that a move was refused of"},
        "moves": {"type": "array", "items": {"type": "string"}, "description": "of that bill, open to the caller"},
        "stale": {
            "type": "object",
            "description": "the first difference between a bill and what holds now",
            "properties": {
                "where": {"type": "string", "examples": ["net of line 2"]},
                "bill": {"type": ["string", "null"]},
                "now": {"type": ["string", "null"]},
            },
        },
    },
}
_PROBLEM_RESPONSE = {
    "description": "refused or failed, with the reason",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_RETRY_RESPONSE = _PROBLEM_RESPONSE | {
    "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
}
_RATE_RESPONSE = _RETRY_RESPONSE | {
    "description": "the key makes more requests than it may, or too much that it asked for has not ended"
}
_BACKPRESSURE_RESPONSE = _RETRY_RESPONSE | {
    "description": "too many leads wait to be decided, or the key makes more requests than it may; nothing was stored"
}

LEADS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/LeadIn"},
                        {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 10_000,
                            "items": {"$ref": "#/components/schemas/LeadIn"},
                        },
                    ]
                }
            },
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "one lead per line"},
                "example": json.dumps(_LEAD["example"]) + "\n",
            },
        },
    }
}


def install(app: FastAPI) -> None:
    """Complete the document that the app makes of its routes."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _completed(
                get_openapi(
                    title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=_TAGS
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= {"ActionIn": _ACTION, "LeadIn": _LEAD, "Problem": _PROBLEM}
    for name, example in EXAMPLES.items():
        schemas[name]["example"] = example
    document["components"]["securitySchemes"] = _SECURITY
    document["security"] = [{"key": []}, {"session": []}]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            responses.pop("422", None)
            responses |= {
                "4XX": _PROBLEM_RESPONSE,
                "429": _BACKPRESSURE_RESPONSE if (method, path) == ("post", "/leads") else _RATE_RESPONSE,
                "500": _PROBLEM_RESPONSE,
                "503": _RETRY_RESPONSE,
            }
            if path in ("/health", "/ready") or (method.upper(), path) in FOR_ANYBODY:
                operation["security"] = []
    return document


_SECURITY = {
    "key": {"type": "http", "scheme": "bearer", "description": "an API key, for programs"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION,
        "description": "a person who signed in at `POST /api/session`; behind https its name begins with `__Host-`",
    },
}
_TAGS = [
    {"name": "leads", "description": "Send leads and see what became of them."},
    {"name": "reports", "description": "What a partner owes for a month, live and as written versions with files."},
    {"name": "partners", "description": "The companies that pay, with their terms."},
    {"name": "contracts", "description": "Who sells, and the usage that bills charge above a limit."},
    {"name": "products", "description": "What partners offer; leads name them."},
    {"name": "customers", "description": "The people whose interest is billed."},
    {"name": "rate cards", "description": "The rules that price actions."},
    {"name": "periods", "description": "Closing and reopening months."},
    {"name": "billing scheduler", "description": "Runs: the monthly billing of all partners or some."},
    {"name": "bills", "description": "Make, review, approve and issue bills; adjustments and returns."},
    {
        "name": "account",
        "description": "What partners paid and owe, and credit notes.",
    },
    {"name": "actions", "description": "Why an action was billed; hold, release and return it."},
    {"name": "fraud", "description": "Rules, screens, and what they hold until a person decides."},
    {"name": "mail", "description": "Bills that are sent, reminders, and what became of each mail."},
    {"name": "tasks", "description": "How far background work is."},
    {"name": "quarantine", "description": "Accepted leads that cannot be billed yet."},
    {"name": "workers", "description": "Pause and resume them; what waits for them for too long."},
    {"name": "people", "description": "Sign up, sign in, passwords; who may do what."},
    {"name": "API keys", "description": "Make, rotate and revoke keys."},
    {"name": "webhooks", "description": "Other systems that are told of what happens."},
    {"name": "audit", "description": "Who changed what, and when."},
    {"name": "operations", "description": "For operators and their monitoring."},
]
