"""Totals (R9): counts and money that always add up, and the checksum that tells two sets of verdicts apart."""

from dataclasses import dataclass, fields
from hashlib import blake2b

from billing.actions import Outcome, Verdict


@dataclass(slots=True)
class Totals:
    """Counts of leads and actions, actions per outcome, and money in minor units.

    gross = billed + duplicate savings + cap savings + held + returned, and the six outcomes add up to `actions`.
    """

    leads: int = 0
    actions: int = 0
    billed: int = 0
    partly_billed: int = 0
    capped: int = 0
    duplicate: int = 0
    held: int = 0
    returned: int = 0
    gross_minor: int = 0
    billed_minor: int = 0
    duplicate_savings_minor: int = 0
    cap_savings_minor: int = 0
    held_minor: int = 0
    returned_minor: int = 0

    def add(self, outcome: Outcome, value_minor: int, billed_minor: int, sign: int = 1) -> None:
        """Count one action in (`sign` 1) or out (-1)."""
        self.actions += sign
        self.gross_minor += sign * value_minor
        if outcome is Outcome.DUPLICATE:
            self.duplicate += sign
            self.duplicate_savings_minor += sign * value_minor
        elif outcome is Outcome.HELD:
            self.held += sign
            self.held_minor += sign * value_minor
        elif outcome is Outcome.RETURNED:
            self.returned += sign
            self.returned_minor += sign * value_minor
        else:
            self.billed_minor += sign * billed_minor
            self.cap_savings_minor += sign * (value_minor - billed_minor)
            if outcome is Outcome.BILLED:
                self.billed += sign
            elif outcome is Outcome.CAPPED:
                self.capped += sign
            else:
                self.partly_billed += sign

    @property
    def savings_minor(self) -> int:
        """Value that was not billed: duplicate savings and cap savings."""
        return self.duplicate_savings_minor + self.cap_savings_minor

    @property
    def conserved(self) -> bool:
        """Whether money and counts add up."""
        parts = self.billed_minor + self.savings_minor + self.held_minor + self.returned_minor
        outcomes = self.billed + self.partly_billed + self.capped + self.duplicate + self.held + self.returned
        return self.gross_minor == parts and self.actions == outcomes


TOTALS_COLUMNS = tuple(field.name for field in fields(Totals))


def verdict_checksum(verdict: Verdict) -> int:
    """A 96-bit number for one verdict; the sum over a report is the same in whatever order the verdicts came."""
    action = verdict.action
    line = (
        f"{action.id.hex}{action.billing_period}{verdict.outcome.value}"
        f"{action.value_minor},{verdict.billed_minor},{action.rate_rule_id}"
    )
    return checksum_of_line(line.encode())


def checksum_of_line(line: bytes) -> int:
    """The checksum of a verdict from its line, which a query over stored verdicts can make as well."""
    return int.from_bytes(blake2b(line, digest_size=12).digest())
