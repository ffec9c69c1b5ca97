"""The open items of an account while something is booked, and the uses that come of it (B9)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from billing.bills.account import Charge, Credit, Use, automatic_uses, freed, named_uses, own_use


@dataclass(slots=True)
class OpenItems:
    """Charges and credits by their ids; `uses` are the new ones, in their order."""

    charges: dict[UUID, Charge] = field(default_factory=dict)
    credits_left: dict[UUID, Credit] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)

    @property
    def account_minor(self) -> int:
        """What the partner owes: all that is open less all that is left."""
        open_minor = sum(charge.open_minor for charge in self.charges.values())
        return open_minor - sum(credit.left_minor for credit in self.credits_left.values())

    def add(self, item: Charge | Credit) -> None:
        """Add what is booked now."""
        if isinstance(item, Charge):
            self.charges[item.id] = item
        else:
            self.credits_left[item.id] = item

    def use_named(self, credit_id: UUID, named: Mapping[UUID, int]) -> None:
        """Use a credit for the charges that a person names; RuleViolation for more than is left or open."""
        self._apply(named_uses(self.credits_left[credit_id], named, self.charges.values()))

    def use_for_own(self, credit_id: UUID, charge_id: UUID) -> None:
        """Use a credit note, or a write-off, for its own bill, as far as that is open."""
        if charge_id in self.charges:
            self._apply(own_use(self.credits_left[credit_id], self.charges[charge_id]))

    def free(self, uses: Iterable[Use]) -> None:
        """Take uses back; their charges and credits must be there, also those of which nothing was open or left."""
        self._apply(freed(uses))

    def take_out(self, entry_id: UUID) -> None:
        """Count an entry no more, because it is reversed."""
        self.charges.pop(entry_id, None)
        self.credits_left.pop(entry_id, None)

    def settle(self) -> None:
        """Use all credit that is left."""
        self._apply(automatic_uses(self.charges.values(), self.credits_left.values()))

    def _apply(self, uses: Iterable[Use]) -> None:
        for use in uses:
            charge, credit = self.charges[use.charge], self.credits_left[use.credit]
            self.charges[use.charge] = replace(charge, open_minor=charge.open_minor - use.amount_minor)
            self.credits_left[use.credit] = replace(credit, left_minor=credit.left_minor - use.amount_minor)
            self.uses.append(use)
