"""What the routes take and give of contracts: billing terms, preferences, the seller, usage."""

from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StrictBool, StrictInt, WithJsonSchema
from pydantic import model_validator as validator

from api.schemas.fields import Amount, Body, Day, Email, Id, LongText, Period, Text
from api.wire import amount_out, instant_out
from billing.contracts.addresses import LONGEST_ADDRESS, address_from_wire
from billing.contracts.bank_accounts import iban_from_wire
from billing.contracts.billing_terms import DEFAULT_PAYMENT_DAYS
from billing.contracts.preferences import (
    LARGEST_FIRST_NUMBER,
    MOST_APPROVALS,
    MOST_EMAILS,
    Approver,
    AskedApproval,
    Paper,
    Preferences,
    language_from_wire,
    number_prefix_from_wire,
)
from billing.contracts.tax import Tax, TaxCategory, rate_bp_from_wire, wire_from_rate_bp
from billing.contracts.unit_costs import unit_cost_from_wire, wire_from_unit_cost
from billing.contracts.usage import LONGEST_SOURCE, MOST_UNITS, reported_source_from_wire, source_from_wire
from billing.periods import text_from_period
from db.contracts.reading import Contract
from db.contracts.seller import Seller
from db.contracts.usage import Usage

_SETTINGS = {"billing_from"}
_SETTINGS_AMONG_PREFERENCES = {"number_prefix", "first_number"}
_ADMIN = {"require_csm_approval", "billing_from"}


def _without_repeats(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


UnitCost = Annotated[
    Decimal,
    BeforeValidator(unit_cost_from_wire),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^((0|[1-9][0-9]{0,3})(\.[0-9]{1,6})?|10000(\.0{1,6})?)$",
            "examples": ["0.012500"],
        }
    ),
]
TaxRate = Annotated[
    int,
    BeforeValidator(rate_bp_from_wire),
    WithJsonSchema(
        {"type": "string", "pattern": r"^((0|[1-9][0-9]?)(\.[0-9]{1,2})?|100(\.00?)?)$", "examples": ["20.00"]}
    ),
]
_SOURCE = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_SOURCE, "examples": ["api"]})
Source = Annotated[str, BeforeValidator(source_from_wire), _SOURCE]
ReportedSource = Annotated[str, BeforeValidator(reported_source_from_wire), _SOURCE]
Address = Annotated[
    str,
    BeforeValidator(address_from_wire),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_ADDRESS}),
]
Language = Annotated[
    str, BeforeValidator(language_from_wire), WithJsonSchema({"type": "string", "pattern": "^[a-z]{2}(-[A-Z]{2})?$"})
]
NumberPrefix = Annotated[
    str,
    BeforeValidator(number_prefix_from_wire),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z0-9]{2,12}$", "examples": ["ACME"]}),
]
Iban = Annotated[
    str, BeforeValidator(iban_from_wire), WithJsonSchema({"type": "string", "examples": ["DE89370400440532013000"]})
]


class TaxIn(Body):
    """The tax of a partner's bills."""

    category: TaxCategory = Field(description="S standard, Z zero, E exempt, AE reverse charge, O outside of tax")
    rate: TaxRate = Field(description="percent; 0.00 in all categories but S")
    note: LongText | None = Field(None, description="printed beside the tax")

    @validator(mode="after")
    def _is_a_tax(self) -> Self:
        self.tax()
        return self

    def tax(self) -> Tax:
        """As the domain knows it."""
        return Tax(self.category, self.rate, self.note)


class AskedApprovalIn(Body):
    """An approval that bills need; with `above`, only those of more than that."""

    by: Approver
    above: Amount | None = None


class PreferencesIn(Body):
    """Preferences to change; what is not sent stays."""

    approvals: Annotated[list[AskedApprovalIn], Field(max_length=MOST_APPROVALS)] | None = Field(
        None, description="[]: none; null: the CSM's if `require_csm_approval`, else anyone's; for Admins"
    )
    auto_issue: StrictBool = Field(False, description="whether a run issues approved bills")
    send: StrictBool = Field(False, description="whether an issued bill is sent at once")
    remind: StrictBool = Field(True, description="whether reminders are sent of bills that are overdue")
    emails: Annotated[list[Email], Field(max_length=MOST_EMAILS), AfterValidator(_without_repeats)] = Field(
        default_factory=list, description="where bills are sent; []: to the billing e-mail"
    )
    language: Language = "en"
    paper: Paper = Paper.A4
    number_prefix: NumberPrefix | None = Field(None, description="until the first bill is issued")
    first_number: Annotated[StrictInt, Field(ge=1, le=LARGEST_FIRST_NUMBER)] | None = Field(
        None, description="until the first bill is issued"
    )

    def preferences(self) -> dict[str, Any]:
        """Those that were sent, as fields of `Preferences`."""
        fields = {name: value for name, value in self.sent().items() if name not in _SETTINGS_AMONG_PREFERENCES}
        if "emails" in fields:
            fields["emails"] = tuple(self.emails)
        if fields.get("approvals") is not None:
            fields["approvals"] = tuple(AskedApproval(each.by, each.above) for each in self.approvals or ())
        return fields


class ContractIn(Body):
    """What is agreed for a partner's bills; it decides no verdict."""

    monthly_api_limit: StrictInt | None = Field(None, ge=0, le=10**15, description="units of a month that cost nothing")
    overage_unit_cost: UnitCost | None = Field(None, description="of each unit above the limit")
    usage_sources: Annotated[list[Source], Field(max_length=50), AfterValidator(_without_repeats)] = Field(
        default_factory=list,
        description="whose units count against the limit; []: all but `leadger`, whose units are the leads",
    )
    tax: TaxIn | None = None
    payment_days: StrictInt = Field(DEFAULT_PAYMENT_DAYS, ge=0, le=365, description="from issue to due date")
    po_number: Text | None = None
    address: Address | None = Field(None, description="up to ten lines, as printed")
    tax_id: Text | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    csm: Text | None = Field(None, description="the customer success manager: a person, by key or e-mail")
    require_csm_approval: StrictBool = Field(
        False, validation_alias=AliasChoices("require_csm_approval", "csm_must_approve"), description="for Admins"
    )
    return_days: StrictInt | None = Field(None, ge=0, le=3650, description="after the issue date; null: no limit")
    return_reasons: Annotated[list[Text], Field(max_length=50), AfterValidator(_without_repeats)] = Field(
        default_factory=list, description="reasons for returns that are listed beside those that always are"
    )
    billing_from: Period | None = Field(
        None,
        description="the first period with a bill, until one is issued; null: of start_date, else of the first lead",
    )
    preferences: PreferencesIn = Field(default_factory=PreferencesIn)

    @validator(mode="after")
    def _dates_are_in_order(self) -> Self:
        if self.start_date and self.end_date and self.end_date < self.start_date:
            raise ValueError("end_date must not be before start_date")
        return self

    def billing_terms(self) -> dict[str, Any]:
        """Those that were sent, as fields of `BillingTerms`, but the CSM, whom only the database knows."""
        sent = self.sent()
        fields = {name: sent[name] for name in sent.keys() & ContractIn.model_fields.keys() - _SETTINGS - {"csm"}}
        if "usage_sources" in sent:
            fields["usage_sources"] = tuple(self.usage_sources)
        if "return_reasons" in sent:
            fields["return_reasons"] = tuple(self.return_reasons)
        if self.tax:
            fields["tax"] = self.tax.tax()
        if "preferences" in sent:
            fields["preferences"] = self.preferences.preferences()
            if not fields["preferences"]:
                del fields["preferences"]
        return fields

    def billing_settings(self) -> dict[str, Any]:
        """Those that were sent, as fields of `BillingSettings`."""
        own = {name: value for name, value in self.sent().items() if name in _SETTINGS}
        preferred = self.preferences.sent() if "preferences" in self.model_fields_set else {}
        return own | {name: preferred[name] for name in preferred.keys() & _SETTINGS_AMONG_PREFERENCES}

    def admin_fields(self) -> list[str]:
        """Pointers of the fields sent that only Admins may change."""
        pointers = [f"#/{name}" for name in sorted(self.model_fields_set & _ADMIN)]
        if "preferences" in self.model_fields_set and "approvals" in self.preferences.model_fields_set:
            pointers.append("#/preferences/approvals")
        return pointers


class SellerIn(Body):
    """Who the bills are from; a field that is not sent is empty."""

    name: Text
    address: Address | None = None
    tax_id: Text | None = None
    iban: Iban | None = None
    small_amount: Amount | None = Field(
        None, description="the most that Finance writes off, in each partner's currency"
    )


class UsageIn(Body):
    """Units of a partner's month from one source, under a key of the caller's own."""

    partner: Id
    period: Period
    source: ReportedSource = Field(description="who counts; compared without regard to case")
    key: Id = Field(description="names this entry within partner, period and source")
    units: Annotated[StrictInt, Field(ge=0, le=MOST_UNITS)]
    replace: StrictBool = Field(False, description="take the place of other units under the same key")


def contract_out_from_contract(contract: Contract) -> dict[str, Any]:
    """A contract, as a part of its partner."""
    terms, settings, csm = contract.terms, contract.settings, contract.csm
    cost, tax = terms.overage_unit_cost, terms.tax
    return {
        "monthly_api_limit": terms.monthly_api_limit,
        "overage_unit_cost": None if cost is None else wire_from_unit_cost(cost),
        "usage_sources": terms.usage_sources,
        "tax": tax and {"category": tax.category, "rate": wire_from_rate_bp(tax.rate_bp), "note": tax.note},
        "payment_days": terms.payment_days,
        "po_number": terms.po_number,
        "address": terms.address,
        "tax_id": terms.tax_id,
        "start_date": terms.start_date,
        "end_date": terms.end_date,
        "csm": csm and {"user_id": csm.id, "name": csm.name},
        "require_csm_approval": terms.require_csm_approval,
        "csm_must_approve": terms.require_csm_approval,
        "return_days": terms.return_days,
        "return_reasons": terms.return_reasons,
        "billing_from": text_from_period(settings.billing_from) if settings.billing_from else None,
        "preferences": _preferences_out(terms.preferences)
        | {"number_prefix": settings.number_prefix, "first_number": settings.first_number},
        "billing_terms_since": text_from_period(contract.since) if contract.since else None,
    }


def seller_out_from_seller(seller: Seller) -> dict[str, Any]:
    """The seller."""
    return {
        "name": seller.name,
        "address": seller.address,
        "tax_id": seller.tax_id,
        "iban": seller.iban,
        "small_amount": amount_out(seller.small_amount_minor),
    }


def usage_out_from_usage(usage: Usage) -> dict[str, Any]:
    """An entry of usage."""
    return {
        "partner": usage.partner,
        "period": text_from_period(usage.key.period),
        "source": usage.key.source,
        "key": usage.key.key,
        "units": usage.units,
        "entry": usage.entry,
        "entered_at": instant_out(usage.entered_at),
        "entered_by": {"kind": usage.who.kind, "id": usage.who.id, "name": usage.who.name},
    }


def _preferences_out(preferences: Preferences) -> dict[str, Any]:
    asked = preferences.approvals
    return {
        "approvals": None
        if asked is None
        else [{"by": each.by, "above": amount_out(each.above_minor)} for each in asked],
        "auto_issue": preferences.auto_issue,
        "send": preferences.send,
        "remind": preferences.remind,
        "emails": preferences.emails,
        "language": preferences.language,
        "paper": preferences.paper,
    }
