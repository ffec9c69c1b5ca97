"""What the routes of partners take and give."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.contracts import ContractIn, contract_out_from_contract
from api.schemas.fields import Amount, Currency, Email, Id, Period, Text, Timezone, Window
from api.wire import amount_out, instant_out
from billing.money import amount_from_minor
from billing.periods import text_from_period
from billing.terms import DEFAULT_CAP_MINOR, CapScope, DuplicateWindow, wire_from_window
from db.contracts.reading import Contract
from db.masters.partners import Partner


class TermsIn(ContractIn):
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

    def partner_terms(self) -> dict[str, Any]:
        """Those that decide verdicts and were sent, as fields of `PartnerTerms`."""
        fields: dict[str, Any] = {
            "cap_minor": self.cap,
            "cap_scope": CapScope(self.cap_scope),
            "dedup_window": self.dedup_window,
        }
        return {name: fields[name] for name in fields if name.removesuffix("_minor") in self.model_fields_set}


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


def partner_out_from_partner(partner: Partner, contract: Contract) -> dict[str, Any]:
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
        "terms_since": text_from_period(partner.terms_since) if partner.terms_since else None,
        **contract_out_from_contract(contract),
        "created_at": instant_out(partner.created_at),
    }
