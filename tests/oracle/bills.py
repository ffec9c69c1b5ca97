"""The oracle for a partner's account (B9): documents in, what is open and left out; no code of the product."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from tests.oracle.values import Refused

_CHARGING = {"bill": 1, "refund": 1, "opening_item": 1, "payment": -1, "credit_note": -1, "write_off": -1}


@dataclass(slots=True)
class Document:
    """A document on the account: above zero it asks for money, below zero it gives some; `uses` name others."""

    kind: str
    booked_on: date
    due_on: date
    account: int
    bill: str | None = None
    disputed: bool = False
    reversed_on: date | None = None
    uses: dict[str, int] = field(default_factory=dict)

    @property
    def rest(self) -> int:
        """What is open of a charge, or left of a credit."""
        return 0 if self.reversed_on else abs(self.account) - sum(self.uses.values())


class Account:
    """The account of one partner; whatever the rules refuse raises Refused and changes nothing."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}

    def book(
        self,
        name: str,
        kind: Literal["bill", "refund", "opening_item", "payment", "credit_note"],
        amount: int,
        booked_on: date,
        due_on: date | None = None,
        bill: str | None = None,
        named: Mapping[str, int] | None = None,
    ) -> None:
        """Book a document; `bill` is that of a credit note, `named` what a payment is for, by bill."""
        if kind == "refund" and amount > min(self.left, -self.balance):
            raise Refused("more than is left")
        document = Document(kind, booked_on, due_on or booked_on, _CHARGING[kind] * amount, bill)
        self._check_named(document, named or {})
        self.documents[name] = document
        self._cover(name, named or {})
        if bill is not None and document.account < 0:
            self._use(name, bill, min(document.rest, self.documents[bill].rest))
        self._settle()

    def write_off(self, name: str, bill: str, booked_on: date, coming_credit: int = 0) -> None:
        """Write off what is open of a bill, less credits that come with a later bill."""
        amount = self.documents[bill].rest - coming_credit
        if amount <= 0:
            raise Refused("nothing to write off")
        self.documents[name] = Document("write_off", booked_on, booked_on, -amount, bill)
        self._use(name, bill, amount)

    def reverse(self, name: str, on: date) -> None:
        """Take a document back; whatever it covered is open again, whatever covered it is left again."""
        if self.documents[name].reversed_on:
            raise Refused("reversed already")
        self._free(name)
        self.documents[name].reversed_on = on
        self._settle()

    def allocate(self, name: str, named: Mapping[str, int]) -> None:
        """Use a payment for other bills."""
        before = {each: dict(document.uses) for each, document in self.documents.items()}
        self._free(name)
        try:
            self._check_named(self.documents[name], named)
        except Refused:
            for each, uses in before.items():
                self.documents[each].uses = uses
            raise
        self._cover(name, named)
        self._settle()

    def dispute(self, name: str, disputed: bool) -> None:
        """Begin or end the dispute of a bill."""
        self.documents[name].disputed = disputed
        self._settle()

    @property
    def balance(self) -> int:
        """What the partner owes; below zero, what is owed to the partner."""
        return sum(document.account for document in self.documents.values() if not document.reversed_on)

    @property
    def open(self) -> int:
        """All that is open."""
        return sum(document.rest for document in self.documents.values() if document.account > 0)

    @property
    def left(self) -> int:
        """All that is left of credits."""
        return sum(document.rest for document in self.documents.values() if document.account < 0)

    def balance_on(self, day: date) -> int:
        """The account at the end of a day."""
        entries = [(document.booked_on, document.account) for document in self.documents.values()]
        entries += [(each.reversed_on, -each.account) for each in self.documents.values() if each.reversed_on]
        return sum(amount for booked_on, amount in entries if booked_on <= day)

    def _check_named(self, document: Document, named: Mapping[str, int]) -> None:
        if sum(named.values()) > document.rest:
            raise Refused("more than the payment")
        for bill, amount in named.items():
            charge = self.documents.get(bill)
            if charge is None or charge.account < 0 or not 0 < amount <= charge.rest:
                raise Refused("more than is open")

    def _cover(self, name: str, named: Mapping[str, int]) -> None:
        for bill, amount in named.items():
            self._use(name, bill, amount)

    def _settle(self) -> None:
        """Use credit, oldest first, for what is due first and not disputed, until nothing more can be covered."""
        names = list(self.documents)
        while True:
            charges = [n for n in names if self.documents[n].account > 0 and self.documents[n].rest]
            charges = [n for n in charges if not self.documents[n].disputed]
            credits_left = [n for n in names if self.documents[n].account < 0 and self.documents[n].rest]
            if not charges or not credits_left:
                return
            charge = min(charges, key=lambda n: (self.documents[n].due_on, names.index(n)))
            credit = credits_left[0]
            self._use(credit, charge, min(self.documents[credit].rest, self.documents[charge].rest))

    def _use(self, credit: str, charge: str, amount: int) -> None:
        for one, other in ((credit, charge), (charge, credit)):
            uses = self.documents[one].uses
            uses[other] = uses.get(other, 0) + amount

    def _free(self, name: str) -> None:
        for other in self.documents[name].uses:
            del self.documents[other].uses[name]
        self.documents[name].uses = {}
