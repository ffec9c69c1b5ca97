"""P1: which passwords are good enough, and what is stored of them."""

import time

import pytest
from argon2 import extract_parameters

from billing.errors import InvalidValue
from db.access import passwords
from db.access.common_passwords import is_common
from db.access.passwords import UNKNOWN, check_password, hash_password, matches


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password-2024",
        "passwordpassword",
        "monkeymonkey",
        "iloveyou!!!!",
        "qwertyuiop12",
        "aaaaaaaaaaaa",
        "abcabcabcabcabc",
        "123456789012",
        "890123456789",
        "1qaz2wsx3edc",
    ],
)
def test_common_passwords_are_refused(password: str) -> None:
    assert is_common(password)
    with pytest.raises(InvalidValue, match="is too common"):
        check_password(password)


@pytest.mark.parametrize(
    "password",
    [
        "four words of no meaning",
        "correct horse battery",
        "kV7#pQz9!mRw",
        "日本語のパスワードです長い",
        "x7" * 5 + "yz",
    ],
)
def test_other_passwords_are_taken(password: str) -> None:
    assert check_password(password) == password


def test_a_password_has_12_to_200_characters_however_they_are_written() -> None:
    long = "four words of no meaning " * 8
    assert (len(long), check_password(long)) == (200, long)
    for wrong in (long + "x", "e\u0301" * 11, "kV7#pQz9!mR"):
        with pytest.raises(InvalidValue, match="must have 12 to 200 characters"):
            check_password(wrong)


def test_what_is_stored_is_argon2id_and_matches_its_password_only() -> None:
    stored = hash_password("café of four words")
    assert stored.startswith("$argon2id$v=19$m=47104,t=2,p=1$")
    assert stored != hash_password("café of four words")
    assert matches(stored, "cafe\u0301 of four words")
    assert not matches(stored, "Café of four words")
    assert not matches(stored, "")
    assert not matches("no hash", "no hash")


def test_a_password_of_nobody_takes_as_long_as_one_of_somebody() -> None:
    stored = hash_password("four words of no meaning")
    assert extract_parameters(UNKNOWN) == extract_parameters(stored)

    def took_s(stored: str | None) -> float:
        began = time.perf_counter()
        assert not passwords.matches(stored, "another password")
        return time.perf_counter() - began

    assert min(took_s(None) for _ in range(3)) > min(took_s(stored) for _ in range(3)) / 2
