"""Money as readers of a language write it: shown, and typed again."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.words import other_action, periods, words_for
from billing.money import amount_from_minor

LANGUAGES = ("en", "en-IN", "de", "de-AT", "de-CH", "fr", "es", "pl", "pt-BR", "sv", "hi", "ar", "xx")


@pytest.mark.parametrize(
    ("language", "typed", "wire"),
    [
        *[(language, " 1250.5 ", "1250.5") for language in LANGUAGES],
        *[(language, "12,50", "12.50") for language in LANGUAGES],
        *[(language, "1.250,00", "1250.00") for language in LANGUAGES],
        *[(language, "1,250,000.00", "1250000.00") for language in LANGUAGES],
        ("en", "1,250", "1250"),
        ("en", "1.250", "1.250"),
        ("de", "1.250", "1250"),
        ("de", "1,250", "1,250"),
        ("fr", "−1\u202f250,00", "-1250.00"),
        ("en", "1,2,3", "1,2,3"),
        ("en", "12,50,00", "12,50,00"),
        ("de", "1.250.00", "1.250.00"),
        ("en", "", ""),
        ("en", "12 €", "12 €"),
        ("en", "٣", "٣"),
    ],
)
def test_money_is_read_as_it_is_typed(language: str, typed: str, wire: str) -> None:
    """Failed before: 12,50 was read as 1250."""
    assert words_for(language).amount_from_typed(typed) == wire


@pytest.mark.parametrize(
    ("numbers", "written"),
    [
        ([], ""),
        ([202404], "April 2024"),
        ([202311, 202312, 202401, 202403], "November 2023 to January 2024, March 2024"),
    ],
)
def test_months_that_follow_each_other_are_one_span(numbers: list[int], written: str) -> None:
    assert periods(numbers) == written


def test_a_sentence_names_another_action_by_its_instant_in_the_partners_zone() -> None:
    """Failed before: it named the id, and the instant in UTC."""
    named = other_action("Europe/Berlin")
    assert named(UUID(int=1), datetime(2024, 4, 1, 9, tzinfo=UTC)) == "the action of 1 Apr 2024, 11:00 CEST"
    assert named(UUID(int=1), None) == "another action"


@given(language=st.sampled_from(LANGUAGES), minor=st.integers(-(10**14), 10**14))
def test_what_is_shown_can_be_typed(language: str, minor: int) -> None:
    words = words_for(language)
    assert words.amount_from_typed(words.amount(minor)) == amount_from_minor(minor)
