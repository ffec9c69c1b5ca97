"""What the routes of partners take and give."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt, model_validator

from api.schemas.fields import Amount, Body, Currency, Day, Email, Id, Period, Preferences, Text, Timezone, Window
from api.wire import amount_out, instant_out
from billing.money import amount_from_minor
from billing.periods import text_from_period
from billing.terms import DEFAULT_CAP_MINOR, CapScope, DuplicateWindow, wire_from_window
from db.masters.partners import Partner


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

    def terms_fields(self, names: set[str]) -> dict[str, Any]:
        """The named ones of these fields as fields of PartnerTerms."""
        fields: dict[str, Any] = {}
        for name in names & TermsIn.model_fields.keys():
            value = getattr(self, name)
            match name:
                case "cap" | "overage_unit_cost":
                    fields[f"{name}_minor"] = value
                case "cap_scope":
                    fields[name] = CapScope(value)
                case _:
                    fields[name] = value
        return fields


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


def partner_out_from_partner(partner: Partner) -> dict[str, Any]:
    """A partner with the terms in force."""
    terms = partner.terms
    return {
        "partner_id": partner.id,
        "external_id": partner.external_id,
        "name": partner.name,
        "billing_email": partner.billing_email,
        "currency": partner.currency,
        "timezone": partner.timezone,
        "closed_through": text_from_period(partner.closed_through) if partner.closed_through else None,
        "cap": amount_out(terms.cap_minor),
        "cap_scope": terms.cap_scope.value,
        "dedup_window": wire_from_window(terms.dedup_window),
        "monthly_api_limit": terms.monthly_api_limit,
        "overage_unit_cost": amount_out(terms.overage_unit_cost_minor),
        "csm": terms.csm,
        "csm_must_approve": terms.csm_must_approve,
        "start_date": terms.start_date,
        "end_date": terms.end_date,
        "preferences": terms.preferences,
        "terms_since": text_from_period(partner.terms_since) if partner.terms_since else None,
        "created_at": instant_out(partner.created_at),
    }
