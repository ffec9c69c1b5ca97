"""A fair share of the inbox: what n keys may have of what was sent lately."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.traffic.fair_share import FairShare

KEYS = [uuid4() for _ in range(6)]


def _shares(leads: list[int]) -> FairShare:
    shares = FairShare()
    for key, count in zip(KEYS, leads, strict=False):
        shares.add(key, count)
    return shares


@pytest.mark.parametrize(
    ("leads", "exceeding"),
    [
        ([1], [0]),
        ([100], [0]),
        ([100, 100], [0, 1]),
        ([100, 50], [0]),  # a third each is fair
        ([100, 51], [0, 1]),
        ([1000, 10, 10], [0]),
        ([10, 10, 10, 10, 10, 10], [0, 1, 2, 3, 4, 5]),
        ([10, 10, 10, 10, 10, 8], [0, 1, 2, 3, 4]),
    ],
)
def test_who_has_more_than_a_share(leads: list[int], exceeding: list[int]) -> None:
    shares = _shares(leads)
    assert [n for n, _ in enumerate(leads) if shares.is_exceeded_by(KEYS[n])] == exceeding


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=6))
def test_whoever_sent_the_most_has_more_than_a_share_and_who_sent_nothing_has_not(leads: list[int]) -> None:
    shares = _shares(leads)
    assert shares.is_exceeded_by(KEYS[leads.index(max(leads))])
    assert not shares.is_exceeded_by(uuid4())


@given(st.lists(st.integers(100, 10**9), min_size=1, max_size=6), st.integers(1, 5))
def test_time_changes_no_share_of_those_who_send_nothing_more(leads: list[int], times: int) -> None:
    shares = _shares(leads)
    before = [shares.is_exceeded_by(key) for key in KEYS]
    for _ in range(times):
        shares.decay()
    assert [shares.is_exceeded_by(key) for key in KEYS] == before


def test_what_was_sent_long_ago_is_forgotten() -> None:
    shares = _shares([10_000])
    for _ in range(87):
        assert shares.is_exceeded_by(KEYS[0])
        shares.decay()
    shares.decay()
    assert not shares.is_exceeded_by(KEYS[0])


def test_a_noisy_key_is_let_in_again_once_others_have_sent_as_much() -> None:
    shares = _shares([1000, 10])
    assert shares.is_exceeded_by(KEYS[0])
    while not shares.is_exceeded_by(KEYS[1]):
        shares.add(KEYS[1], 10)
    assert shares.is_exceeded_by(KEYS[0])
    shares.add(KEYS[1], 2000)
    assert not shares.is_exceeded_by(KEYS[0])
