"""Attribution: an amount is divided among the touches before it, and nothing is lost or made."""

from fractions import Fraction
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.attribution.models import Credits, Model, split

AD, MAIL, EVENT = range(3)


def credited(model: Model, *customers: list[tuple[int, int]]) -> dict[int, int]:
    credits_ = Credits(model)
    for actions in customers:
        credits_.next_customer()
        for key, converted_minor in actions:
            credits_.add(key, converted_minor)
    return {key: amount for key, amount in credits_.by_key.items() if amount}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Model.FIRST, {AD: 1000}),
        (Model.LAST, {MAIL: 1000}),
        (Model.LINEAR, {AD: 250, EVENT: 500, MAIL: 250}),
        (Model.POSITION, {AD: 400, EVENT: 200, MAIL: 400}),
    ],
)
def test_a_conversion_is_credited_to_what_came_before(model: Model, expected: dict[int, int]) -> None:
    assert credited(model, [(AD, 0), (EVENT, 0), (EVENT, 0), (MAIL, 0), (EVENT, 1000), (AD, 0)]) == expected


@pytest.mark.parametrize("model", Model)
def test_a_conversion_without_a_touch_is_its_own_and_customers_share_none(model: Model) -> None:
    assert credited(model, [(AD, 0)], [(MAIL, 700)]) == {MAIL: 700}


def test_two_touches_share_equally_by_position_and_the_odd_cent_goes_to_one() -> None:
    assert credited(Model.POSITION, [(AD, 0), (MAIL, 0), (EVENT, 5)]) == {AD: 3, MAIL: 2}
    assert credited(Model.POSITION, [(AD, 0), (AD, 0), (AD, 0), (EVENT, 5)]) == {AD: 5}


def test_what_is_left_over_goes_to_the_largest_remainders() -> None:
    assert split(100, {AD: 1, MAIL: 1, EVENT: 1}) == {AD: 34, MAIL: 33, EVENT: 33}
    assert split(10, {AD: 1, MAIL: 5, EVENT: 3}) == {AD: 1, MAIL: 6, EVENT: 3}


KEYS = st.integers(0, 4)


@given(amount=st.integers(1, 10**9), weights=st.dictionaries(KEYS, st.integers(1, 10**6), min_size=1))
def test_parts_add_up_and_are_less_than_a_unit_from_their_shares(amount: int, weights: dict[int, int]) -> None:
    parts = split(amount, weights)
    assert (sum(parts.values()), parts.keys()) == (amount, weights.keys())
    total = sum(weights.values())
    assert all(abs(parts[key] - Fraction(amount * weights[key], total)) < 1 for key in weights)


@given(model=st.sampled_from(Model), actions=st.lists(st.tuples(st.integers(0, 3), KEYS, st.integers(0, 2000))))
def test_under_every_model_the_credits_add_up_to_what_was_converted(
    model: Model, actions: list[tuple[int, int, int]]
) -> None:
    """Each credit is that of a simple model, which looks at the list of touches, but for the rounding."""
    exact: dict[int, Fraction] = {}
    by_customer = [
        [(key, minor) for _, key, minor in own]
        for _, own in groupby(sorted(actions, key=lambda each: each[0]), key=lambda each: each[0])
    ]
    for own in by_customer:
        for place, (key, minor) in enumerate(own):
            touches = [touch for touch, _ in own[:place]] or [key]
            for touch, share in zip(touches, shares(model, len(touches)), strict=True):
                exact[touch] = exact.get(touch, Fraction()) + share * minor
    found = credited(model, *by_customer)
    assert sum(found.values()) == sum(minor for _, _, minor in actions)
    assert all(abs(found.get(key, 0) - amount) <= len(actions) for key, amount in exact.items())


def shares(model: Model, count: int) -> list[Fraction]:
    if model is Model.FIRST:
        return [Fraction(place == 0) for place in range(count)]
    if model is Model.LAST:
        return [Fraction(place == count - 1) for place in range(count)]
    if model is Model.LINEAR or count < 3:
        return [Fraction(1, count)] * count
    return [Fraction(2, 5), *[Fraction(1, 5) / (count - 2)] * (count - 2), Fraction(2, 5)]
