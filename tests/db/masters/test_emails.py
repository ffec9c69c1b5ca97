"""R12: which e-mails are one person's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidValue
from db.masters.emails import email_from_wire
from tests.oracle.people import plain_email

names = st.text(st.sampled_from("aAzßẞİıσςΣéK.+-_\u0301\u0307\u200b\u00ad"), min_size=1, max_size=8)
domains = st.lists(
    st.sampled_from(["b\u00fccher", "bu\u0308cher", "B\u00dcCHER", "xn--bcher-kva", "stra\u00dfe", "Example"]),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Mia@CZ.Example", "mia@cz.example"),
        (" \u200bmia@cz\u00ad.example\u00a0", "mia@cz.example"),
        ("weiß@x.example", "weiß@x.example"),
        ("WEISS@x.example", "weiss@x.example"),
        ("jo+promo@x.example", "jo+promo@x.example"),
        ("İpek@x.example", "i\u0307pek@x.example"),
        ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
        ("a@bu\u0308cher.example", "a@xn--bcher-kva.example"),
        ("a@xn--BCHER-kva.example", "a@xn--bcher-kva.example"),
        ("a@straße.example", "a@xn--strae-oqa.example"),
        ("a@strasse.example", "a@strasse.example"),
        ("a@例え。テスト", "a@xn--r8jz45g.xn--zckzah"),
        ("a@under_score.example", "a@under_score.example"),
    ],
)
def test_r12_an_address_is_lower_case_with_an_ascii_domain(written: str, kept: str) -> None:
    assert email_from_wire(written) == email_from_wire(kept) == kept == plain_email(written)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        (7, "must be a string"),
        ("", "must have 1 to 320 characters"),
        ("x" * 319 + "@x", "must have 1 to 320 characters"),
        ("ben", "must be an e-mail address"),
        ("@x", "must be an e-mail address"),
        ("a@", "must be an e-mail address"),
        ("a@b@c", "must be an e-mail address"),
        ("a b@c", "must be an e-mail address"),
        ("a\u3000b@c", "must be an e-mail address"),
        ("a\x00@c", "must not contain control characters or lone surrogates"),
        ("a@é..example", "must have a domain that can be written in ASCII"),
        (f"a@{'é' * 100}.example", "must have a domain that can be written in ASCII"),
    ],
)
def test_r12_what_is_no_address(written: object, fault: str) -> None:
    with pytest.raises(InvalidValue, match=f"^{fault}$"):
        email_from_wire(written)


@given(names, domains)
def test_r12_the_oracle_reads_addresses_alike(name: str, labels: list[str]) -> None:
    written = f"{name}@{'.'.join(labels)}"
    try:
        kept = email_from_wire(written)
    except InvalidValue:
        assert not name.strip("\u200b\u00ad")  # nothing is left of the name
        return
    assert kept == email_from_wire(kept) == plain_email(written) == plain_email(kept)
