"""Customers: persons known by e-mail, under one or more identifiers (R12)."""

from dataclasses import dataclass, field

from tests.oracle.values import Refused, fold, plain_id


@dataclass(eq=False, slots=True)
class Person:
    """One person. `ids[0]` is the identifier the person was created with, the others are aliases."""

    email: str
    name: str
    ids: list[str] = field(default_factory=list)


class People:
    """Everybody known, by identifier and by e-mail."""

    def __init__(self) -> None:
        self._by_id: dict[str, Person] = {}
        self._by_email: dict[str, Person] = {}

    def find(self, external_id: str) -> Person | None:
        """The person behind an identifier or alias."""
        return self._by_id.get(plain_id(external_id))

    def register(self, external_id: str, email: str, name: str) -> None:
        """Create a person or alias at the caller's request. Refused for an id of somebody else."""
        known = self.find(external_id)
        if known is not None and known.email != fold(email):
            raise Refused(f"{external_id} is {known.email}")
        self.meet(external_id, email, name)

    def meet(self, external_id: str, email: str, name: str) -> None:
        """What a lead says about its customer: creates a person or alias, never changes a stored person."""
        if self.find(external_id) is not None:
            return
        person = self._by_email.setdefault(fold(email), Person(fold(email), name))
        person.ids.append(plain_id(external_id))
        self._by_id[plain_id(external_id)] = person
