"""R5, R16: from when a rule counts for each partner, and until when."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from billing.errors import RuleViolation
from billing.periods import Calendar
from billing.policy import Policy
from billing.rate_starts import CardRule, Span, Start, check_start, ends, later_starts
from billing.rates import BEGINNING, RateCard
from billing.terms import Terms, TermsHistory

APRIL, MAY, JUNE = 202404, 202405, 202406
MAY_IN_UTC, MAY_IN_BERLIN = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 4, 30, 22, tzinfo=UTC)
BERLIN, IN_UTC = Calendar({0: "Europe/Berlin"}), Calendar({0: "UTC"})


def policy(closed_through: int | None = None, timezone: str = "UTC") -> Policy:
    partner_id = uuid4()
    return Policy(
        partner_id=partner_id,
        currency="EUR",
        version=1,
        closed_through=closed_through,
        calendar=Calendar({0: timezone}),
        terms=TermsHistory([(0, Terms())]),
        card=RateCard(partner_id, []),
    )


def test_r5_a_period_as_a_start_begins_in_each_partners_zone() -> None:
    """A price for all began for every partner where one of them had its first open period, within months of others."""
    rule = CardRule(7, (None, None, None, "click", None), 900, MAY)
    starts = [found.effective_from for calendar in (BERLIN, IN_UTC) if (found := rule.of_partner(calendar))]
    assert starts == [MAY_IN_BERLIN, MAY_IN_UTC]


@pytest.mark.parametrize(
    ("start", "span", "is_ended", "counts"),
    [
        (None, Span(), False, (BEGINNING, None)),
        (None, Span(MAY), False, (MAY_IN_UTC, None)),
        (APRIL, Span(), False, (datetime(2024, 4, 1, tzinfo=UTC), None)),
        (None, Span(), True, None),
        (None, Span(None, MAY), True, (BEGINNING, MAY_IN_UTC)),
        (APRIL, Span(MAY, JUNE), True, (MAY_IN_UTC, datetime(2024, 6, 1, tzinfo=UTC))),
        (MAY_IN_UTC, Span(None, MAY), True, None),
        (None, Span(MAY), True, None),
    ],
)
def test_r16_a_rule_counts_for_a_partner_by_its_span(
    start: Start, span: Span, is_ended: bool, counts: tuple[datetime, datetime | None] | None
) -> None:
    rule = CardRule(7, (None, None, None, None, "high"), 1000, start, is_ended).of_partner(IN_UTC, span)
    assert (None if rule is None else (rule.effective_from, rule.until)) == counts


def test_r16_a_start_lies_in_no_closed_period_of_a_partner_that_the_rule_touches() -> None:
    untouched, berlin, utc = policy(), policy(APRIL, "Europe/Berlin"), policy(APRIL)
    for start in (None, MAY, JUNE, MAY_IN_UTC):
        check_start([untouched, berlin, utc], start)
    for start in (APRIL, MAY_IN_UTC, datetime(1901, 1, 1, tzinfo=UTC)):
        check_start([untouched], start)
    check_start([berlin], MAY_IN_BERLIN)
    check_start([], APRIL)
    with pytest.raises(RuleViolation) as refusal:
        check_start([berlin, utc], MAY_IN_BERLIN)
    assert str(refusal.value) == (
        "The rule would start in a closed period of a partner it touches; it can start at 2024-05-01T00:00:00Z or "
        "later, or without a start with the first open period of each partner."
    )
    with pytest.raises(RuleViolation) as refusal:
        check_start([untouched, utc, berlin], APRIL)
    assert str(refusal.value) == (
        "The rule cannot start in April 2024, which a partner that it touches has closed; it can start in May 2024 or "
        "later, or without a start with the first open period of each."
    )


def test_r16_a_rule_without_a_start_begins_with_the_first_open_period_of_each_partner() -> None:
    untouched, april, may = policy(), policy(APRIL), policy(MAY)
    partners = [untouched, april, may]
    assert later_starts(partners, None, {}) == {april.partner_id: MAY, may.partner_id: JUNE}
    assert later_starts(partners, MAY, {}) == {may.partner_id: JUNE}
    assert later_starts(partners, JUNE, {}) == {}
    known: dict[UUID, Span] = {april.partner_id: Span(JUNE), may.partner_id: Span(MAY), untouched.partner_id: Span()}
    assert later_starts(partners, None, known) == {april.partner_id: JUNE, may.partner_id: JUNE}


def test_r16_a_rule_that_ends_goes_on_counting_in_closed_periods_in_which_it_counted() -> None:
    untouched, april, may = policy(), policy(APRIL), policy(MAY)
    partners = [untouched, april, may]
    assert ends(partners, None, {}) == {april.partner_id: MAY, may.partner_id: JUNE}
    assert ends(partners, MAY, {}) == {may.partner_id: JUNE}
    assert ends(partners, None, {april.partner_id: Span(MAY)}) == {may.partner_id: JUNE}
