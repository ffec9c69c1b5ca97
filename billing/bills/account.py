"""The account of a partner (B9): what is open, what is left of credits, and which credit covers which charge.

The ledger of the account only grows: a mistake is followed by an entry that mirrors it. Charges are open until they are
covered by credits; each use of a credit is stored, and freeing one is a use below zero. At any time the sum of what is
open less the sum of what is left is the account, and credit is left only where nothing undisputed is open.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from billing.errors import RuleViolation
from billing.money import amount_from_minor


class EntryKind(StrEnum):
    """What is booked; a reversal mirrors the entry that it takes back."""

    BILL = "bill"
    PAYMENT = "payment"
    CREDIT_NOTE = "credit_note"
    REFUND = "refund"
    WRITE_OFF = "write_off"
    OPENING_ITEM = "opening_item"
    REVERSAL = "reversal"


_SIGNS = {
    EntryKind.BILL: 1,
    EntryKind.PAYMENT: -1,
    EntryKind.CREDIT_NOTE: -1,
    EntryKind.REFUND: 1,
    EntryKind.WRITE_OFF: -1,
    EntryKind.OPENING_ITEM: 1,
}


def entry_minor(kind: EntryKind, amount_minor: int) -> int:
    """What an amount adds to the account: a gross amount below zero, and an opening item, have their own sign."""
    return _SIGNS[kind] * amount_minor


@dataclass(frozen=True, slots=True)
class Charge:
    """What asks for money, and how much of it is open; disputed ones are covered by hand. `order`: that of booking."""

    id: UUID
    due_on: date
    order: int
    open_minor: int
    is_disputed: bool = False


@dataclass(frozen=True, slots=True)
class Credit:
    """What covers charges, and how much of it is left; `order` is that of booking."""

    id: UUID
    order: int
    left_minor: int


class Use(NamedTuple):
    """So much of a credit covers a charge; below zero it is freed."""

    credit: UUID
    charge: UUID
    amount_minor: int


def named_uses(credit: Credit, named: Mapping[UUID, int], charges: Iterable[Charge]) -> list[Use]:
    """The uses of a credit for the charges that a person names, disputed ones too.

    RuleViolation for more than is left of the credit, or open of a charge.
    """
    if sum(named.values()) > credit.left_minor:
        raise RuleViolation(
            f"{amount_from_minor(sum(named.values()))} are named, and {amount_from_minor(credit.left_minor)} are left."
        )
    opened = {charge.id: charge.open_minor for charge in charges}
    for charge_id, amount in named.items():
        if not 0 < amount <= opened.get(charge_id, 0):
            raise RuleViolation(
                f"{amount_from_minor(opened.get(charge_id, 0))} are open of a bill for which "
                f"{amount_from_minor(amount)} are named."
            )
    return [Use(credit.id, charge_id, amount) for charge_id, amount in named.items()]


def own_use(credit: Credit, charge: Charge) -> list[Use]:
    """The use of a credit note, or a write-off, for its own bill, as far as that is open; a disputed one, too."""
    amount = min(credit.left_minor, charge.open_minor)
    return [Use(credit.id, charge.id, amount)] if amount else []


def automatic_uses(charges: Iterable[Charge], credits_left: Iterable[Credit]) -> list[Use]:
    """The uses of all credit that is left: the oldest first, for what is due first; nothing for disputed charges."""
    waiting = sorted(
        (charge for charge in charges if charge.open_minor and not charge.is_disputed),
        key=lambda charge: (charge.due_on, charge.order),
    )
    uses = []
    left = [(credit.id, credit.left_minor) for credit in sorted(credits_left, key=lambda credit: credit.order)]
    for charge in waiting:
        remaining = charge.open_minor
        while remaining and left:
            credit_id, available = left[0]
            amount = min(remaining, available)
            if amount:
                uses.append(Use(credit_id, charge.id, amount))
            remaining -= amount
            left[0] = credit_id, available - amount
            if amount == available:
                left.pop(0)
    return uses


def freed(uses: Iterable[Use]) -> list[Use]:
    """The uses that take back all uses of a credit or a charge; those that were freed before count as well."""
    covered: dict[tuple[UUID, UUID], int] = {}
    for use in uses:
        covered[use.credit, use.charge] = covered.get((use.credit, use.charge), 0) + use.amount_minor
    return [Use(credit, charge, -amount) for (credit, charge), amount in covered.items() if amount]


def most_refund(charges: Sequence[Charge], credits_left: Sequence[Credit]) -> int:
    """The most that can be refunded: what is left of credits, and not more than the account is below zero."""
    left = sum(credit.left_minor for credit in credits_left)
    return max(0, min(left, left - sum(charge.open_minor for charge in charges)))


def check_refund(amount_minor: int, charges: Sequence[Charge], credits_left: Sequence[Credit]) -> None:
    """RuleViolation for a refund of more than that."""
    most = most_refund(charges, credits_left)
    if amount_minor > most:
        raise RuleViolation(f"At most {amount_from_minor(most)} can be refunded: so much is left once all is paid.")


def write_off_minor(open_minor: int, credited_not_billed_minor: int) -> int:
    """What is written off of a bill: what is open, less credits that are booked for it and come with a later bill.

    RuleViolation if that is nothing.
    """
    amount = open_minor - credited_not_billed_minor
    if amount <= 0:
        raise RuleViolation("Nothing of the bill is open that is not credited already.")
    return amount


def check_write_off(amount_minor: int, is_admin: bool, small_amount_minor: int) -> None:
    """RuleViolation if the amount is too large for Finance; an Admin writes off any."""
    if not is_admin and amount_minor > small_amount_minor:
        raise RuleViolation(
            f"{amount_from_minor(amount_minor)} is more than the small amount of "
            f"{amount_from_minor(small_amount_minor)}, so an Admin writes it off."
        )
