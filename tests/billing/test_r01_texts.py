"""R1: what looks the same is the same text, at every door; the oracle's own rule agrees."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidValue
from billing.texts import clean, text_from_wire, text_key
from tests.oracle import values

WHITE = [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
INVISIBLE = [
    0xAD,
    0x200B,
    0x200C,
    0x200D,
    0x200E,
    0x200F,
    0x202A,
    0x202E,
    0x2060,
    0x2066,
    0x2069,
    0xFEFF,
    0x061C,
    0xFE0F,
]

odd = st.sampled_from([chr(code) for code in [*WHITE, *INVISIBLE, 0x301, 0x307, 0x345]] + list("aAßẞİıIiΣσςΐΰǰéK"))
texts = st.text(odd | st.characters(), max_size=12)


@pytest.mark.parametrize("code", WHITE)
def test_r1_every_kind_of_white_space_is_one_space(code: int) -> None:
    assert text_from_wire(f"{chr(code)}Form{chr(code)} {chr(code)}Submission{chr(code)}") == "Form Submission"


@pytest.mark.parametrize("code", INVISIBLE)
def test_r1_invisible_characters_go(code: int) -> None:
    assert (
        text_from_wire(f"{chr(code)}Form{chr(code)} {chr(code)} Submiss{chr(code)}ion{chr(code)}") == "Form Submission"
    )


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Click", "Click"),
        (" Click ", "Click"),
        ("  two  spaces  ", "two spaces"),
        ("Cafe\u0301", "Café"),
        ("Cafe\u200b\u0301", "Café"),  # composed after what stood between has gone
        ("STRASSE", "STRASSE"),  # the spelling is kept
        ("Straße", "Straße"),
        ("x" * 200 + "\u200b ", "x" * 200),
        ("👩\u200d💻", "👩💻"),
    ],
)
def test_r1_a_text_is_kept_as_it_was_spelled_but_for_what_nobody_sees(sent: str, kept: str) -> None:
    assert text_from_wire(sent) == kept


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (7, "must be a string"),
        (None, "must be a string"),
        ("", "must have 1 to 200 characters"),
        (" \u3000\u200b\t", "must have 1 to 200 characters"),
        ("x" * 201, "must have 1 to 200 characters"),
        ("a\x00b", "must not contain control characters or lone surrogates"),
        ("a\x1fb", "must not contain control characters or lone surrogates"),
        ("\x7f", "must not contain control characters or lone surrogates"),
        ("a\ud800b", "must not contain control characters or lone surrogates"),
        ("<test lead: dummy data for full_name>", "is the dummy data of a test lead, which is never billed"),
    ],
)
def test_r1_what_is_no_text(sent: object, fault: str) -> None:
    with pytest.raises(InvalidValue, match=f"^{fault}$"):
        text_from_wire(sent)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("ΟΔΟΣ", "οδος"),
        ("ΐ", "Ϊ\u0301"),
        ("ǰ", "J\u030c"),
        ("Form\u00a0Submission", "form  submission\ufeff"),
        ("ﬃ", "FFI"),
    ],
)
def test_r1_keys_fold_case(one: str, other: str) -> None:
    assert text_key(one) == text_key(other) == text_key(clean(other))


@pytest.mark.parametrize(
    ("one", "other"), [("İzmir", "izmir"), ("ırmak", "irmak"), ("Form Submission", "FormSubmission")]
)
def test_r1_keys_keep_apart_what_is_not_the_same(one: str, other: str) -> None:
    assert text_key(one) != text_key(other)


@given(texts)
def test_r1_cleaning_again_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert text_key(once) == text_key(text) == text_key(text_key(text))
    assert unicodedata.is_normalized("NFC", once)


@given(texts, st.data())
def test_r1_the_case_of_a_text_does_not_matter(text: str, data: st.DataObject) -> None:
    folded = data.draw(st.sampled_from([str.casefold, lambda each: unicodedata.normalize("NFD", each)]))
    assert text_key(folded(text)) == text_key(text)


@given(texts)
def test_r1_the_oracle_reads_texts_alike(text: str) -> None:
    assert values.clean(text) == clean(text)
    assert values.fold(text) == text_key(text)


@pytest.mark.slow
def test_r1_of_all_characters_the_oracle_says_the_same() -> None:
    for code in range(sys.maxunicode + 1):
        text = f"a{chr(code)}b"
        assert values.clean(text) == clean(text), hex(code)
        assert values.fold(text) == text_key(text), hex(code)
