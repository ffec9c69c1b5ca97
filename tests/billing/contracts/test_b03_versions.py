"""B3: changed billing terms count from their start until a later version, and never in an issued period."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.contracts.billing_terms import BillingTerms, terms_at, versions_to_write
from billing.contracts.preferences import Paper, Preferences
from billing.errors import RuleViolation
from billing.periods import next_period, periods_between

FIRST, LAST = 202401, 202412
APRIL, MAY, JUNE = 202404, 202405, 202406
PERIODS = st.sampled_from([0, *periods_between(FIRST, LAST)])
TERMS = st.builds(BillingTerms, monthly_api_limit=st.integers(0, 9), payment_days=st.integers(0, 9))
VERSIONS = st.dictionaries(PERIODS, TERMS, max_size=4)


@given(VERSIONS, PERIODS, st.sets(st.sampled_from(list(periods_between(FIRST, LAST))), max_size=3))
def test_b3_a_change_counts_until_a_later_version_or_an_issued_period(
    versions: dict[int, BillingTerms], start: int, issued: set[int]
) -> None:
    if start in issued:
        with pytest.raises(RuleViolation):
            versions_to_write(versions, start, {"payment_days": 99}, issued)
        return
    changed = versions | versions_to_write(versions, start, {"payment_days": 99}, issued)
    until = min((each for each in {*versions, *issued} if each > start), default=next_period(LAST))
    for period in (0, *periods_between(FIRST, LAST)):
        before, after = terms_at(versions, period), terms_at(changed, period)
        assert after.monthly_api_limit == before.monthly_api_limit
        assert after.payment_days == (99 if start <= period < until else before.payment_days)


@given(VERSIONS, st.lists(st.tuples(PERIODS, st.integers(0, 99)), max_size=6))
def test_b3_what_is_issued_keeps_its_terms_whatever_follows(
    versions: dict[int, BillingTerms], changes: list[tuple[int, int]]
) -> None:
    issued = {APRIL, JUNE}
    agreed = {period: terms_at(versions, period) for period in issued}
    for start, days in changes:
        if start not in issued:
            versions |= versions_to_write(versions, start, {"payment_days": days}, issued)
    assert {period: terms_at(versions, period) for period in issued} == agreed


def test_b3_an_issued_period_goes_on_with_what_was_agreed() -> None:
    before = {0: BillingTerms(payment_days=10)}
    assert versions_to_write(before, APRIL, {"payment_days": 20}, {MAY, JUNE}) == {
        APRIL: BillingTerms(payment_days=20),
        MAY: BillingTerms(payment_days=10),
    }
    with pytest.raises(RuleViolation) as refused:
        versions_to_write(before, MAY, {"payment_days": 20}, {MAY})
    assert str(refused.value) == (
        "Billing terms cannot start in May 2024: its bill was issued, and that never changes."
    )


def test_preferences_change_one_by_one() -> None:
    agreed = BillingTerms(preferences=Preferences(language="de", send=True))
    changed = agreed.changed({"preferences": {"paper": Paper.LETTER}, "po_number": "7"})
    assert changed == BillingTerms(po_number="7", preferences=Preferences(language="de", send=True, paper=Paper.LETTER))


def test_terms_do_not_end_before_they_start() -> None:
    agreed = BillingTerms(start_date=date(2024, 4, 2))
    with pytest.raises(RuleViolation) as refused:
        agreed.changed({"end_date": date(2024, 4, 1)})
    assert str(refused.value) == "The terms would end on 2024-04-01, before they start on 2024-04-02."
