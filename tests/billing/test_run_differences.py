"""Why a month differs from the month before: causes that add up."""

from hypothesis import given
from hypothesis import strategies as st

from billing.run_differences import Cause, Kind, MonthFigures, causes


def test_more_actions_dearer_kinds_and_another_price() -> None:
    before = MonthFigures(2000, {"low": Kind(10, 1000), "high": Kind(1, 1000)})
    now = MonthFigures(6300, {"low": Kind(10, 1100), "high": Kind(4, 4000)}, 1500, cap_minor=300)
    found = causes(before, now)
    assert {cause.value: minor for cause, minor in found.items() if minor} == {
        "volume": 545,  # three more at 181.8
        "mix": 2455,
        "price": 100,
        "new_customers": 1500,
        "cap": -300,
    }
    assert sum(found.values()) == now.net_minor - before.net_minor


KINDS = st.dictionaries(
    st.sampled_from("abc"), st.builds(Kind, st.integers(1, 50), st.integers(0, 100_000)), max_size=3
)
PARTS = st.lists(st.integers(0, 10_000), min_size=6, max_size=6)


def month(kinds: dict[str, Kind], parts: list[int]) -> MonthFigures:
    new, duplicates, cap, returns, overage, adjustments = parts
    gross = sum(kind.gross_minor for kind in kinds.values())
    net = gross + new - duplicates - cap - returns + overage + adjustments
    return MonthFigures(net, kinds, *parts)


@given(KINDS, KINDS, PARTS, PARTS)
def test_the_causes_add_up_to_the_difference(
    before: dict[str, Kind], now: dict[str, Kind], parts: list[int], later: list[int]
) -> None:
    first, second = month(before, parts), month(now, later)
    found = causes(first, second)
    assert set(found) == set(Cause)
    assert sum(found.values()) == second.net_minor - first.net_minor
