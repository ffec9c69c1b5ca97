"""What the master routes take and give."""

from typing import Any, Literal

import asyncpg
from pydantic import ConfigDict, Field, StrictBool, StrictInt, model_validator

from api.schemas.fields import (
    Amount,
    Body,
    Currency,
    Day,
    Email,
    Id,
    Instant,
    Level,
    LongText,
    Period,
    Preferences,
    Text,
    Timezone,
    Window,
)
from api.wire import instant_out
from billing.money import amount_from_minor
from billing.periods import text_from_period
from billing.terms import DEFAULT_CAP_MINOR, DuplicateWindow, wire_from_window
from db.masters import masters


class TermsIn(Body):
    """The terms of a partner; a field that is not sent keeps its default or what it was."""

    cap: Amount | None = Field(
        DEFAULT_CAP_MINOR,
        description="most that one customer costs; null: no cap",
        json_schema_extra={"default": amount_from_minor(DEFAULT_CAP_MINOR)},
    )
    cap_scope: Literal["period", "lifetime"] = "period"
    dedup_window: Window = Field(
        DuplicateWindow(),
        description='"forever", "period" or a number of days',
        json_schema_extra={"default": wire_from_window(DuplicateWindow())},
    )
    monthly_api_limit: StrictInt | None = Field(None, ge=0, le=10**15)
    overage_unit_cost: Amount | None = None
    csm: Text | None = Field(None, description="the customer success manager")
    csm_must_approve: StrictBool = False
    start_date: Day | None = None
    end_date: Day | None = None
    preferences: Preferences = Field(default_factory=dict)

    @model_validator(mode="after")
    def _dates_are_in_order(self) -> "TermsIn":
        if self.start_date and self.end_date and self.end_date < self.start_date:
            raise ValueError("end_date must not be before start_date")
        return self

    def terms_columns(self, names: set[str]) -> dict[str, Any]:
        """The named fields as columns of partner_terms."""
        columns: dict[str, Any] = {}
        for name in names & TermsIn.model_fields.keys():
            value = getattr(self, name)
            match name:
                case "cap":
                    columns["cap_minor"] = value
                case "overage_unit_cost":
                    columns["overage_unit_cost_minor"] = value
                case "dedup_window":
                    columns |= masters.window_columns(value)
                case "preferences":
                    columns["preferences"] = masters.preferences_column(value)
                case _:
                    columns[name] = value
        return columns


class PartnerIn(TermsIn):
    """A partner to create."""

    external_id: Id
    name: Text
    billing_email: Email | None = None
    currency: Currency = "EUR"
    timezone: Timezone = "UTC"


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


class PartnerChange(TermsIn):
    """What to change of a partner; terms change from `effective_period` on, by default the first open one."""

    # What is not sent stays as it is, so a client that is made from the document must not send defaults.
    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: Text | None = None
    billing_email: Email | None = None
    currency: Currency | None = None
    timezone: Timezone | None = None
    effective_period: Period | None = None


class ProductIn(Body):
    """A product to create; it belongs to its partner for ever."""

    external_id: Id
    partner: Id
    name: Text
    description: LongText | None = None


class ProductChange(Body):
    """What to change of a product."""

    name: Text | None = None
    description: LongText | None = None


class CustomerIn(Body):
    """A customer to create; an unknown id with a known e-mail becomes an alias of that person."""

    external_id: Id
    name: Text
    email: Email


class CustomerChange(Body):
    """What to change of a customer."""

    name: Text | None = None
    email: Email | None = None


class RateIn(Body):
    """A rate rule; what is not named applies to any. An amount of null ends the override."""

    partner: Id | None = None
    product: Id | None = None
    lead_type: Text | None = None
    action_type: Text | None = None
    engagement_level: Level | None = None
    amount: Amount | None
    effective_from: Instant | None = Field(None, description="by default as early as closed periods allow")


def partner_out_from_row(row: asyncpg.Record) -> dict[str, Any]:
    """A partner with the terms in force."""
    window = DuplicateWindow(row["dedup_window"], row["dedup_days"] or 0)
    return {
        "partner_id": row["id"],
        "external_id": row["external_id"],
        "name": row["name"],
        "billing_email": row["billing_email"],
        "currency": row["currency"],
        "timezone": row["timezone"],
        "closed_through": text_from_period(row["closed_through"]) if row["closed_through"] else None,
        "cap": _amount(row["cap_minor"]),
        "cap_scope": row["cap_scope"],
        "dedup_window": wire_from_window(window),
        "monthly_api_limit": row["monthly_api_limit"],
        "overage_unit_cost": _amount(row["overage_unit_cost_minor"]),
        "csm": row["csm"],
        "csm_must_approve": row["csm_must_approve"],
        "start_date": row["start_date"],
        "end_date": row["end_date"],
        "preferences": row["preferences"],
        "terms_since": text_from_period(row["from_period"]) if row["from_period"] else None,
        "created_at": instant_out(row["created_at"]),
    }


def product_out_from_row(row: asyncpg.Record) -> dict[str, Any]:
    """A product."""
    return {
        "product_id": row["id"],
        "external_id": row["external_id"],
        "partner": row["partner"],
        "name": row["name"],
        "description": row["description"],
        "created_at": instant_out(row["created_at"]),
    }


def customer_out_from_row(row: asyncpg.Record) -> dict[str, Any]:
    """A customer with the other ids that mean this person."""
    return {
        "customer_id": row["id"],
        "external_id": row["external_id"],
        "name": row["name"],
        "email": row["email"],
        "aliases": row["aliases"],
        "created_at": instant_out(row["created_at"]),
    }


def rate_out_from_row(row: asyncpg.Record) -> dict[str, Any]:
    """A rate rule."""
    return {
        "rule_id": row["id"],
        "partner": row["partner"],
        "product": row["product"],
        "lead_type": row["lead_type"],
        "action_type": row["action_type"],
        "engagement_level": row["engagement_level"],
        "amount": _amount(row["amount_minor"]),
        "effective_from": instant_out(row["effective_from"]),
        "created_at": instant_out(row["created_at"]),
    }


def _amount(minor: int | None) -> str | None:
    return None if minor is None else amount_from_minor(minor)
