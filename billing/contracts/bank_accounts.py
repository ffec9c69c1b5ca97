"""Bank accounts by IBAN (ISO 13616), with its check digits."""

import re

from billing.errors import InvalidValue

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


def iban_from_wire(value: object) -> str:
    """An IBAN without spaces, in upper case; raises InvalidValue if its check digits are wrong."""
    iban = value.replace(" ", "").upper() if isinstance(value, str) else ""
    if not _IBAN.fullmatch(iban) or int("".join(str(int(each, 36)) for each in iban[4:] + iban[:4])) % 97 != 1:
        raise InvalidValue('must be an IBAN with right check digits, like "DE89 3704 0044 0532 0130 00"')
    return iban
