"""R1: who is who. Row keys come from what callers send; only the 8-4-4-4-12 form is a UUID."""

from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import identity
from billing.errors import InvalidValue
from billing.identity import RowKeys
from billing.leads import LeadAction, identified
from tests.oracle.values import instant

KEYS = RowKeys(lambda octets: UUID(bytes=octets))
A_UUID = "0F8FAD5B-D9CB-469F-A165-70867728950E"
KINDS: list[Callable[[str], UUID]] = [
    KEYS.partner,
    KEYS.product,
    KEYS.customer,
    partial(KEYS.lead, ""),
]
ids = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=200).filter(
    lambda text: not text.isspace()
)


@pytest.mark.parametrize("kind", KINDS)
def test_r1_a_uuid_is_its_own_row_key_in_any_letter_case(kind: Callable[[str], UUID]) -> None:
    assert kind(A_UUID) == kind(A_UUID.lower()) == UUID(A_UUID)


@pytest.mark.parametrize(
    "text", [A_UUID.replace("-", ""), f"{{{A_UUID}}}", f"urn:uuid:{A_UUID}", f" {A_UUID}", "uuid-1"]
)
def test_r1_every_other_form_is_an_id_of_the_callers_own(text: str) -> None:
    assert KEYS.customer(text) != UUID(A_UUID)
    assert KEYS.customer(text) == uuid5(UUID("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d03"), text)


def test_r1_one_text_names_different_rows_of_different_kinds() -> None:
    assert len({kind("customer-123") for kind in KINDS}) == 4


@pytest.mark.parametrize(
    "text", ["", " ", "\t", "a\x00b", "a\nb", "a\x7fb", "a\x85b", "a\u2028b", "a\ud800b", "a" * 201, 7, None]
)
def test_r1_an_id_has_1_to_200_characters_and_no_control_character(text: object) -> None:
    with pytest.raises(InvalidValue):
        identity.check_id(text)


@given(ids, ids)
def test_r1_ids_compare_byte_for_byte(one: str, other: str) -> None:
    assert identity.check_id(one) == one
    same = (one.lower() == other.lower()) if KEYS.from_text(one) else (one == other)
    assert (KEYS.customer(one) == KEYS.customer(other)) is same


@given(ids, ids, ids, ids)
def test_r1_a_lead_is_its_source_and_its_id(source: str, lead: str, other_source: str, other: str) -> None:
    same = (source, lead) == (other_source, other)
    assert (KEYS.lead(source, lead) == KEYS.lead(other_source, other)) is same


def test_r1_a_uuid_after_a_source_is_an_id_like_any_other() -> None:
    assert KEYS.lead("crm", A_UUID) not in (UUID(A_UUID), KEYS.lead("", A_UUID))


def test_r1_types_and_levels_compare_case_folded() -> None:
    at = instant("2024-04-01T10:00:00Z")
    sent = [LeadAction("STRASSE", "High", at), LeadAction("straße", "hIGH", at), LeadAction("Strasse", "HIGH", at)]
    assert [action.occurrence for action in identified(KEYS, UUID(A_UUID), sent)] == [0, 1, 2]


def test_r1_of_all_characters_exactly_control_characters_and_lone_surrogates_are_refused() -> None:
    refused = set()
    for code in range(0x110000):
        try:
            identity.check_id(f"a{chr(code)}")
        except InvalidValue:
            refused.add(code)
    assert refused == {*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000)}
