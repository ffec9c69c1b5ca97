"""Texts (R1): one set of rules for every door, so that what looks the same is the same.

A text is kept as it was spelled, but for what nobody sees: NFC, every kind of white space is one space, invisible
characters go, the ends are trimmed. Texts that are compared are compared by `text_key`.
"""

import re
import unicodedata
from functools import lru_cache

from billing.errors import InvalidValue

LONGEST_TEXT = 200

# Unicode's White_Space, and the blank of braille, which looks like one.
_WHITE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000"
# Unicode's Default_Ignorable_Code_Point (zero width, joiners, BOM, soft hyphen, direction marks, fillers, variation
# selectors, tags), and the three marks of interlinear annotations.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_SPACES = re.compile(f"[{_WHITE}]+")
_REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TEST_LEAD = "<test lead: dummy data"
"""How Facebook fills the texts of the leads with which its customers try their forms."""

_MOST_REMEMBERED = 20_000


def clean(text: str) -> str:
    """The text as it is kept; cleaning it again changes nothing."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip(" ")
    text = _SPACES.sub(" ", _INVISIBLE.sub("", text)).strip(" ")
    return unicodedata.normalize("NFC", text)


def text_from_wire(value: object, longest: int = LONGEST_TEXT) -> str:
    """A value as a text of 1 to `longest` characters without control characters; raises InvalidValue."""
    if not isinstance(value, str):
        raise InvalidValue("must be a string")
    text = clean(value)
    if not 1 <= len(text) <= longest:
        raise InvalidValue(f"must have 1 to {longest} characters")
    if text.startswith(_TEST_LEAD):
        raise InvalidValue("is the dummy data of a test lead, which is never billed")
    if not text.isprintable() and _REFUSED.search(text):
        raise InvalidValue("must not contain control characters or lone surrogates")
    return text


def type_from_wire(value: object) -> str:
    """The same for the name of a type: there are few, and each comes with every action, so they are remembered."""
    return _type(value) if isinstance(value, str) and len(value) <= LONGEST_TEXT else text_from_wire(value)


_type = lru_cache(_MOST_REMEMBERED)(text_from_wire)


@lru_cache(_MOST_REMEMBERED)
def text_key(text: str) -> str:
    """What two accepted texts have in common if they compare equal: lead types, action types and levels; remembered.

    Case-folded as Unicode's canonical caseless matching has it, because folding composes and decomposes letters.
    """
    if text.isascii():
        return clean(text).lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", clean(text)).casefold())
