"""Customers: persons known by e-mail, under one or more identifiers (R12)."""

import uuid
from dataclasses import dataclass, field

from tests.oracle.keys import CUSTOMERS, row_key
from tests.oracle.values import Refused, clean, plain_id


@dataclass(eq=False, slots=True)
class Person:
    """One person. `ids[0]` is the identifier the person was created with, the others are aliases.

    `key` never changes, whatever becomes of the identifiers and the e-mail.
    """

    key: uuid.UUID
    email: str
    name: str
    ids: list[str] = field(default_factory=list)
    erased: bool = False


class People:
    """Everybody known, by the keys of their identifiers and by e-mail."""

    def __init__(self) -> None:
        self._by_key: dict[uuid.UUID, Person] = {}
        self._by_email: dict[str, Person] = {}

    def everybody(self) -> list[Person]:
        """All persons."""
        return list(self._by_email.values())

    def find(self, external_id: str) -> Person | None:
        """The person behind an identifier or alias."""
        return self._by_key.get(row_key(CUSTOMERS, external_id))

    def register(self, external_id: str, email: str, name: str) -> None:
        """Create a person or alias at the caller's request. Refused for an id of somebody else."""
        known = self.find(external_id)
        if known is not None and known.email != plain_email(email):
            raise Refused(f"{external_id} is {known.email}")
        self.ensure(external_id, email, name)

    def ensure(self, external_id: str, email: str, name: str) -> None:
        """What a lead says about its customer: creates a person or alias, never changes a stored person."""
        key = row_key(CUSTOMERS, external_id)
        if key in self._by_key:
            return
        address = plain_email(email)
        person = self._by_email.setdefault(address, Person(key, address, name))
        person.ids.append(plain_id(external_id))
        self._by_key[key] = person

    def change(self, external_id: str, email: str | None, name: str | None) -> None:
        """Another e-mail or name. Refused for an e-mail of somebody else and for a person who was erased."""
        person = self._known(external_id)
        if person.erased:
            raise Refused(f"{external_id} was erased")
        if email is not None:
            if self._by_email.get(plain_email(email), person) is not person:
                raise Refused(f"{email} is somebody else")
            self._move(person, plain_email(email))
        if name is not None:
            person.name = name

    def erase(self, external_id: str) -> Person:
        """Forget name, e-mail and the spelling of the identifiers; the keys go on to mean the person."""
        person = self._known(external_id)
        person.erased = True
        person.name = "Erased"
        person.ids = [str(row_key(CUSTOMERS, each)) for each in person.ids]
        self._move(person, f"{person.key}@erased.invalid")
        return person

    def _known(self, external_id: str) -> Person:
        person = self.find(external_id)
        if person is None:
            raise Refused(f"no customer {external_id}")
        return person

    def _move(self, person: Person, email: str) -> None:
        del self._by_email[person.email]
        person.email = email
        self._by_email[email] = person


def plain_email(email: str) -> str:
    """An e-mail as it is compared: lower case, not folded, for weiß@ and weiss@ are two people; an ASCII domain."""
    name, _, domain = clean(email).lower().partition("@")
    labels = domain.translate(dict.fromkeys(map(ord, "。．｡"), ".")).split(".")
    return f"{clean(name)}@{'.'.join(map(_ascii, labels))}"


def _ascii(label: str) -> str:
    """A label of a domain in the ASCII form of today's standard (IDNA 2008), in which ß is a letter of its own."""
    label = clean(label)
    return label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
