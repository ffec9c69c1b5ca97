"""Billing terms: what is agreed for a period and decides no verdict, so it changes until its bill is issued (B3)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.contracts.preferences import Preferences
from billing.contracts.tax import Tax
from billing.errors import RuleViolation
from billing.periods import name_of_period

DEFAULT_PAYMENT_DAYS = 30


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """What is agreed with a partner for the bill of a period; None is "not agreed".

    `usage_sources` () are all but Leadger's own; `return_days` None is without limit;
    `return_reasons` are listed beside those that always are.
    """

    monthly_api_limit: int | None = None
    overage_unit_cost: Decimal | None = None
    usage_sources: tuple[str, ...] = ()
    tax: Tax | None = None
    payment_days: int = DEFAULT_PAYMENT_DAYS
    po_number: str | None = None
    address: str | None = None
    tax_id: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    csm_id: UUID | None = None
    require_csm_approval: bool = False
    return_days: int | None = None
    return_reasons: tuple[str, ...] = ()
    preferences: Preferences = field(default_factory=Preferences)

    def changed(self, changes: Mapping[str, Any]) -> "BillingTerms":
        """With other values for some fields; of `preferences`, a mapping, for some of its own.

        RuleViolation for terms that end before they start.
        """
        preferences = replace(self.preferences, **changes.get("preferences", {}))
        changed = replace(self, **{**changes, "preferences": preferences})
        if changed.start_date and changed.end_date and changed.end_date < changed.start_date:
            raise RuleViolation(
                f"The terms would end on {changed.end_date}, before they start on {changed.start_date}."
            )
        return changed


def terms_at(versions: Mapping[int, BillingTerms], period: int) -> BillingTerms:
    """The terms of a period, given each version by its first period; the defaults before the first one."""
    start = max((start for start in versions if start <= period), default=None)
    return BillingTerms() if start is None else versions[start]


def versions_to_write(
    versions: Mapping[int, BillingTerms], start: int, changes: Mapping[str, Any], issued: Collection[int]
) -> dict[int, BillingTerms]:
    """The versions, by first period, that make changes count from `start` until a later version or an issued period.

    Terms of an issued period stay what they were, so with the first one after `start` they go on as before (B3).
    RuleViolation if `start` itself is issued.
    """
    if start in issued:
        raise RuleViolation(
            f"Billing terms cannot start in {name_of_period(start)}: its bill was issued, and that never changes."
        )
    agreed = terms_at(versions, start)
    written = {start: agreed.changed(changes)}
    next_start = min((each for each in {*versions, *issued} if each > start), default=None)
    if next_start is not None and next_start not in versions:
        written[next_start] = agreed
    return written
