"""Passwords (P1): which are good enough, and how they are kept."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from billing.errors import InvalidValue
from db.access.common_passwords import is_common

SHORTEST, LONGEST = 12, 200

_hasher = PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1)
"""argon2id with 46 MiB: a guess costs some 50 ms of one core."""

UNKNOWN = "$argon2id$v=19$m=47104,t=2,p=1$E7XNBuFZS3wCgg/UrzL0Ew$Gv1p7Pm2f1brMyKUX1DNphay7CGTKMhQOndbva09X90"
"""The hash of a password that nobody knows, in the same form."""


def check_password(value: object) -> str:
    """A password that somebody chose; raises InvalidValue with what is wrong with it."""
    if not isinstance(value, str) or not SHORTEST <= len(unicodedata.normalize("NFC", value)) <= LONGEST:
        raise InvalidValue(f"must have {SHORTEST} to {LONGEST} characters")
    if is_common(value):
        raise InvalidValue("is too common: whoever guesses would try it early; take several words")
    return value


def hash_password(password: str) -> str:
    """What is stored of a password. It takes a while, so no event loop calls it."""
    return _hasher.hash(_typed(password))


def matches(stored: str | None, password: str) -> bool:
    """Whether it is the password whose hash is stored. Where nothing is stored it takes as long, and is false."""
    try:
        return _hasher.verify(stored or UNKNOWN, _typed(password)) and stored is not None
    except (Argon2Error, InvalidHashError):
        return False


def _typed(password: str) -> bytes:
    """The bytes of a password, the same for one that another keyboard writes with combining marks."""
    return unicodedata.normalize("NFC", password).encode()
