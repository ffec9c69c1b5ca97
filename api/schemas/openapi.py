"""What the OpenAPI document says about routes that read their bodies themselves."""

from typing import Any

_INSTANT = {"type": "string", "format": "date-time", "examples": ["2024-04-01T10:00:00Z"]}
_ID = {"type": "string", "minLength": 1, "maxLength": 200}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}

_LEAD: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["lead_id", "customer_id", "product_id", "lead_type", "actions"],
    "properties": {
        "lead_id": _ID,
        "source": _ID | {"description": "who numbered the lead; lead ids are unique per source"},
        "customer_id": _ID,
        "customer": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "email"],
            "properties": {"name": _TEXT, "email": _TEXT | {"format": "email"}},
            "description": "creates the customer if the id is unknown",
        },
        "product_id": _ID,
        "lead_type": _TEXT | {"examples": ["Website Visit"]},
        "created_at": _INSTANT,
        "actions": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["action_type", "timestamp", "engagement_level"],
                "properties": {
                    "action_type": _TEXT | {"examples": ["Form Submission"]},
                    "timestamp": _INSTANT,
                    "engagement_level": {"type": "string", "enum": ["High", "Medium", "Low"]},
                },
            },
        },
    },
}

LEADS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"anyOf": [_LEAD, {"type": "array", "minItems": 1, "items": _LEAD}]}},
            "application/x-ndjson": {"schema": {"type": "string", "description": "one lead per line"}},
        },
    }
}

LEADS_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Stored durably; `status_url` tells what became of the leads.",
        "content": {
            "application/json": {
                "example": {"batch_id": "…", "accepted": 4, "status_url": "/leads/batches/…"},
            }
        },
    },
    200: {"description": "The verdicts of a dry run; nothing was stored."},
}
