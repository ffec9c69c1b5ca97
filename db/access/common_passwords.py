"""The commonest passwords, which whoever guesses tries first."""

from functools import cache
from importlib.resources import files
from string import digits, punctuation, whitespace

_BESIDE_WORDS = digits + punctuation + whitespace
_SEQUENCE = "0123456789" * 20
_SHORTEST_UNIT = 5
"""What repeats fewer characters than that is one of few."""


def is_common(password: str) -> bool:
    """Whether a password is on the list, is a word of it with digits or signs around, or repeats a word or a few signs.

    "Password-2024", "monkeymonkey", "121212121212" and "123456789012" are common; four words with blanks are not.
    """
    text = password.casefold()
    word = text.strip(_BESIDE_WORDS)
    unit = text[: (text + text).find(text, 1)]
    listed = _listed()
    return len(unit) < _SHORTEST_UNIT or text in _SEQUENCE or not listed.isdisjoint((text, word, unit))


@cache
def _listed() -> frozenset[str]:
    lines = files("db.access").joinpath("common_passwords.txt").read_text().splitlines()
    return frozenset(line for line in lines if not line.startswith("# "))
