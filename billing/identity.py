"""Identity (R1, R3): row keys are computed from what callers send, so any process finds a row without a look-up."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache, partial
from hashlib import sha1
from uuid import UUID

from billing.errors import InvalidValue

MAX_ID_LENGTH = 200

_UUID_LENGTH = 36
_UUID_FORM = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SEPARATOR = b"\x1f"
_FREE_BITS = ~(0xF << 76 | 0x3 << 62)
_VERSION_5 = [bytes([octet & 0x0F | 0x50]) for octet in range(256)]
_VARIANT = [bytes([octet & 0x3F | 0x80]) for octet in range(256)]
_PRODUCTS_CACHED = 10_000

# One fixed namespace per kind. With another one, no row of that kind is found any more.
_PARTNER = UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d01").bytes
_PRODUCT = UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d02").bytes
_CUSTOMER = UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d03").bytes
_LEAD = UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d04").bytes
_ACTION = UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d05").bytes
_KEY = UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d06").bytes
_REPORT = UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d07").bytes
_OWN_ACTION = UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d08").bytes
_DOCUMENT = UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d09").bytes


def check_id(text: object) -> str:
    """Return a caller's id as it is, or raise InvalidValue: 1–200 characters, none of them a control character."""
    if not isinstance(text, str):
        raise InvalidValue("must be a string")
    if not 1 <= len(text) <= MAX_ID_LENGTH:
        raise InvalidValue(f"must have 1 to {MAX_ID_LENGTH} characters")
    if not text.isprintable() and (_CONTROL.search(text) or _SURROGATE.search(text)):
        raise InvalidValue("must not contain control characters or lone surrogates")
    if text.isspace():
        raise InvalidValue("must not be blank")
    return text


class RowKeys:
    """Computes row keys as UUIDs of one class, which `make` builds from 16 octets.

    The key is the same whatever the class. The standard library's class is slow: that of a driver in C is made, hashed
    and compared ten times as fast (`db.core.row_keys`).
    """

    __slots__ = ("_make", "product")

    product: Callable[[str], UUID]
    """Row key of a product; there are few products, so their keys are cached."""

    def __init__(self, make: Callable[[bytes], UUID]) -> None:
        self._make = make
        self.product = lru_cache(_PRODUCTS_CACHED)(partial(self._own_or_named, _PRODUCT))

    def partner(self, external_id: str) -> UUID:
        """Row key of a partner."""
        return self._own_or_named(_PARTNER, external_id)

    def customer(self, external_id: str) -> UUID:
        """Row key of a customer, or of an alias of one."""
        return self._own_or_named(_CUSTOMER, external_id)

    def lead(self, source: str, external_id: str) -> UUID:
        """Row key of a lead, whose identity is (source, lead id); the source is empty if the caller names none."""
        if not source:
            return self._own_or_named(_LEAD, external_id)
        return self._make(_version_5(_LEAD + source.encode() + _SEPARATOR + external_id.encode()))

    def action(self, lead_id: UUID, action_type_key: str, level_key: str, occurred_us: int, occurrence: int) -> UUID:
        """Row key of an action: (lead, action type, level, instant in microseconds, occurrence)."""
        name = f"{action_type_key}\x1f{level_key}\x1f{occurred_us}\x1f{occurrence}"
        return self._make(_version_5(_ACTION + lead_id.bytes + name.encode()))

    def own_action(self, lead_id: UUID, external_id: str) -> UUID:
        """Row key of an action that has an id of the caller's own: (lead, that id), a UUID in any letter case."""
        return self._make(_version_5(_OWN_ACTION + lead_id.bytes + spelled_once(external_id).encode()))

    def document(self, kind: str, external_id: str) -> UUID:
        """Row key of what is entered on accounts, like a payment: (kind, the caller's id)."""
        return self._own_or_named(_DOCUMENT + kind.encode() + _SEPARATOR, external_id)

    def duplicate_key(
        self, partner_id: UUID, customer_id: UUID, product_id: UUID, action_type_key: str, level_key: str
    ) -> UUID:
        """The key of R6 in one value; the lead type is not in it."""
        name = f"{action_type_key}\x1f{level_key}"
        return self._make(_version_5(_KEY + partner_id.bytes + customer_id.bytes + product_id.bytes + name.encode()))

    def from_text(self, text: str) -> UUID | None:
        """The UUID a text spells in the 8-4-4-4-12 form; None for every other text."""
        if len(text) == _UUID_LENGTH and _UUID_FORM.fullmatch(text):
            return self._make(bytes.fromhex(text.replace("-", "")))
        return None

    def _own_or_named(self, namespace: bytes, external_id: str) -> UUID:
        return self.from_text(external_id) or self._make(_version_5(namespace + external_id.encode()))


def spelled_once(external_id: str) -> str:
    """An id as it compares: byte for byte, but a UUID in any letter case is one (R1)."""
    return (
        external_id.lower() if len(external_id) == _UUID_LENGTH and _UUID_FORM.fullmatch(external_id) else external_id
    )


def report_uuid(partner_id: UUID, period: int) -> UUID:
    """Identity of the report of one partner and one period; its versions share it.

    It is the partner's id XOR bits of the period, so the report's id and the period give the partner.
    """
    return UUID(int=partner_id.int ^ _period_bits(period))


def partner_of_report(report_id: UUID, period: int) -> UUID:
    """The row key of the partner whose report of the period has this id, if there is such a partner."""
    return UUID(int=report_id.int ^ _period_bits(period))


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


@cache
def _period_bits(period: int) -> int:
    """122 bits that no two periods share; those of the version and the variant of a UUID are 0."""
    return int.from_bytes(sha1(_REPORT + str(period).encode(), usedforsecurity=False).digest()[:16]) & _FREE_BITS


def _version_5(name: bytes) -> bytes:
    """The 16 octets of the name-based UUID of a name that begins with its namespace (RFC 9562, version 5)."""
    digest = sha1(name, usedforsecurity=False).digest()
    return digest[:6] + _VERSION_5[digest[6]] + digest[7:8] + _VARIANT[digest[8]] + digest[9:16]
