"""E-mails (R12): which addresses are one person's."""

import re

import idna

from billing.errors import InvalidValue
from billing.texts import text_from_wire
from db.masters.erased import is_reserved_email

LONGEST_EMAIL = 320

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


def email_from_wire(value: object) -> str:
    """An address as it is compared and kept; raises InvalidValue.

    Lower case and not case-folded, because weiß@ and weiss@ are two mailboxes; the domain in its ASCII form, because
    bücher.example and xn--bcher-kva.example are one domain.
    """
    address = text_from_wire(value, LONGEST_EMAIL).lower().rstrip(".")  # example.com. is the same domain
    if not _ADDRESS.fullmatch(address):
        raise InvalidValue("must be an e-mail address")
    if not address.isascii():
        name, _, domain = address.partition("@")
        if not domain.isascii():
            domain = _ascii_domain(domain)
        address = text_from_wire(f"{name}@{domain}", LONGEST_EMAIL)
    if is_reserved_email(address):
        raise InvalidValue("must not end in @erased.invalid, which stands for people who were erased")
    return address


def _ascii_domain(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        raise InvalidValue("must have a domain that can be written in ASCII") from None
