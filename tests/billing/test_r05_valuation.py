"""R5: which rule prices an action."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.rates import BEGINNING, Conditions, RateCard, RateRule, UnpricedAction
from tests.oracle.periods import Calendar
from tests.oracle.rates import Dimensions
from tests.oracle.rates import RateCard as OracleCard

PARTNER, OTHER, PRODUCT = UUID(int=1), UUID(int=2), UUID(int=3)
SHIPPED = [
    RateRule(1, (None, None, None, None, "high"), 1000),
    RateRule(2, (None, None, None, None, "medium"), 500),
    RateRule(3, (None, None, None, None, "low"), 200),
    RateRule(4, (None, None, "email campaign", "click", "high"), 1500),
    RateRule(5, (None, None, "referral", "signup", "high"), 2000),
    RateRule(6, (None, None, "conference", "attendance", "high"), 1500),
]
START = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lead_type", "action_type", "level", "minor"),
    [
        ("email campaign", "click", "high", 1500),
        ("referral", "signup", "high", 2000),
        ("conference", "attendance", "high", 1500),
        ("email campaign", "click", "medium", 500),
        ("email campaign", "open", "high", 1000),
        ("nobody listed", "this", "high", 1000),
        ("nobody listed", "this", "medium", 500),
        ("nobody listed", "this", "low", 200),
    ],
)
def test_r5_the_shipped_card(lead_type: str, action_type: str, level: str, minor: int) -> None:
    assert RateCard(PARTNER, SHIPPED).price(PRODUCT, lead_type, action_type, level, START).amount_minor == minor


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        ((PARTNER, None, None, None, None), (None, PRODUCT, "type", "action", "high")),
        ((None, PRODUCT, None, None, None), (None, None, "type", "action", "high")),
        ((None, None, "type", None, None), (None, None, None, "action", "high")),
        ((None, None, None, "action", None), (None, None, None, None, "high")),
        ((PARTNER, None, None, None, "high"), (PARTNER, None, None, None, None)),
    ],
)
def test_r5_the_partner_is_the_strongest_dimension(strong: Conditions, weak: Conditions) -> None:
    for rules in ([RateRule(7, strong, 1), RateRule(8, weak, 2)], [RateRule(8, weak, 2), RateRule(7, strong, 1)]):
        assert RateCard(PARTNER, rules).price(PRODUCT, "type", "action", "high", START) == (7, 1)


def test_r5_the_latest_start_at_or_before_the_instant_wins_and_null_ends_an_override() -> None:
    own: Conditions = (PARTNER, None, None, None, None)
    rules = [
        *SHIPPED,
        RateRule(7, own, 700, START),
        RateRule(8, own, None, START + timedelta(days=10)),
        RateRule(9, own, 0, START + timedelta(days=20)),
    ]
    card = RateCard(PARTNER, rules)
    tick = timedelta(microseconds=1)
    prices = [
        card.price(PRODUCT, "any", "any", "high", START + after).amount_minor
        for after in (-tick, timedelta(0), timedelta(days=10) - tick, timedelta(days=10), timedelta(days=20))
    ]
    assert prices == [1000, 700, 700, 1000, 0]


def test_r5_of_two_rules_with_one_start_the_newer_counts_and_an_ended_one_until_its_end() -> None:
    own: Conditions = (PARTNER, None, None, None, None)
    end, tick = START + timedelta(days=10), timedelta(microseconds=1)
    for rules in (
        [RateRule(7, own, 700, START, end), RateRule(8, own, 800, end), RateRule(6, own, 600, START)],
        [RateRule(6, own, 600, START), RateRule(8, own, 800, end), RateRule(7, own, 700, START, end)],
    ):
        card = RateCard(PARTNER, [*SHIPPED, *rules])
        instants = (START - tick, START, end - tick, end)
        assert [card.price(PRODUCT, "any", "any", "high", at).amount_minor for at in instants] == [1000, 700, 700, 800]
        assert [card.counting(own, at) for at in instants] == [None, 7, 7, 8]
    card = RateCard(PARTNER, [*SHIPPED, RateRule(6, own, 600, START), RateRule(9, own, 900, START + tick, end)])
    assert card.price(PRODUCT, "any", "any", "high", end) == (6, 600)


def test_r5_the_rules_of_another_partner_do_not_count() -> None:
    rules = [*SHIPPED, RateRule(7, (OTHER, None, None, None, None), 1)]
    assert RateCard(PARTNER, rules).price(PRODUCT, "any", "any", "high", START).amount_minor == 1000


def test_r5_a_card_that_serves_several_partners_tells_their_products_apart() -> None:
    card = RateCard(PARTNER, [*SHIPPED, RateRule(7, (None, PRODUCT, None, None, None), 1)])
    for shared in (card, card.for_partner(OTHER)):
        prices = [shared.price(product, "any", "any", "high", START) for product in (PRODUCT, UUID(int=4))]
        assert prices == [(7, 1), (1, 1000)]


def test_r5_a_card_without_a_price_for_a_level_is_an_error_and_not_0() -> None:
    with pytest.raises(UnpricedAction):
        RateCard(PARTNER, SHIPPED[1:3]).price(PRODUCT, "any", "any", "high", START)


def _maybe(value: object) -> st.SearchStrategy[object]:
    return st.sampled_from([None, None, value, "other"])


_conditions = st.tuples(
    st.sampled_from([None, PARTNER]), st.sampled_from([None, PRODUCT]), _maybe("type"), _maybe("action"), _maybe("high")
)
_starts = st.sampled_from([BEGINNING, *(START + timedelta(days=days) for days in range(4))])


@given(
    st.dictionaries(st.tuples(_conditions, _starts), st.sampled_from([None, 0, 1, 99]), max_size=8), st.integers(-1, 4)
)
def test_r5_the_price_is_the_oracles(rules: dict[tuple[Conditions, datetime], int | None], day: int) -> None:
    default: Conditions = (None, None, None, None, "high")
    rules = {at: minor for at, minor in rules.items() if at != (default, BEGINNING) and (at[0] != default or minor)}
    oracle = OracleCard()
    for (conditions, start), minor in rules.items():
        names = [None if value is None else str(value) for value in conditions]
        oracle.add(Dimensions(*names), start, minor)
    numbered = enumerate(rules.items(), start=10)
    card = RateCard(PARTNER, [*SHIPPED, *(RateRule(n, of, minor, start) for n, ((of, start), minor) in numbered)])
    at = START + timedelta(days=day)
    expected = oracle.price(Dimensions(str(PARTNER), str(PRODUCT), "type", "action", "high"), at, Calendar("UTC"))
    assert card.price(PRODUCT, "type", "action", "high", at).amount_minor == expected
