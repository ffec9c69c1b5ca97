"""Credit notes and cancelling (B8): how much of each line of an issued bill may be taken back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from billing.bills.values import Content, Line, LineTax, Noted, Unit
from billing.errors import RuleViolation
from billing.money import amount_from_minor


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What was taken back of an issued bill so far, by line number, in minor units.

    `noted_minor` is the net of issued credit notes; `returned_minor` is what was credited for returned actions of the
    line, on later bills.
    """

    noted_minor: Mapping[int, int]
    returned_minor: Mapping[int, int]
    was_written_off: bool = False


def credit_note(bill: Content, amounts: Mapping[int, int], taken: TakenBack, reason: str) -> Content:
    """A credit note over amounts of the bill's lines, by line number.

    RuleViolation for a written-off bill, for a line that asks for nothing, and for more than notes and returns left.
    """
    _check_not_written_off(taken)
    lines = {line.number: line for line in bill.lines}
    for number, amount in amounts.items():
        if number not in lines:
            raise RuleViolation(f"The bill has no line {number}.")
        left = left_of_line(lines[number], taken)
        if not 0 < amount <= left:
            raise RuleViolation(
                f"Line {number} of the bill has {amount_from_minor(left)} left to credit, and "
                f"{amount_from_minor(amount)} is asked for."
            )
    if not amounts:
        raise RuleViolation("A credit note names at least one line.")
    return _note(bill, amounts, taken, reason, cancels=False)


def cancelling_note(bill: Content, taken: TakenBack, reason: str) -> Content:
    """The credit note that cancels a bill: over all that earlier notes left of each line.

    Returns stay on the bills that credit them: the replacement bills these actions again. RuleViolation for a
    written-off bill.
    """
    _check_not_written_off(taken)
    amounts = {line.number: line.net_minor - taken.noted_minor.get(line.number, 0) for line in bill.lines}
    return _note(bill, amounts, taken, reason, cancels=True)


def left_of_line(line: Line, taken: TakenBack) -> int:
    """What notes and returns may still take back of a line; nothing of one that is not above zero."""
    used = taken.noted_minor.get(line.number, 0) + taken.returned_minor.get(line.number, 0)
    return max(0, line.net_minor - used)


def check_return(line: Line, amount_minor: int, taken: TakenBack) -> None:
    """RuleViolation for returning an action of the line beyond what was billed, or of a bill that was written off."""
    _check_not_written_off(taken)
    left = left_of_line(line, taken)
    if amount_minor > left:
        raise RuleViolation(
            f"{amount_from_minor(left)} is left of line {line.number} of the bill, because the rest was credited; "
            f"the action was billed {amount_from_minor(amount_minor)}."
        )


def noted_by_tax(lines: Iterable[Line], noted_minor: Mapping[int, int]) -> dict[LineTax, int]:
    """The net of issued credit notes by tax, from that by line."""
    by_tax: dict[LineTax, int] = {}
    for line in lines:
        if line.tax is not None and line.number in noted_minor:
            by_tax[line.tax] = by_tax.get(line.tax, 0) + noted_minor[line.number]
    return by_tax


def _note(bill: Content, amounts: Mapping[int, int], taken: TakenBack, reason: str, cancels: bool) -> Content:
    lines = [_noted_line(line, amounts[line.number]) for line in bill.lines if amounts.get(line.number)]
    return replace(
        bill, lines=lines, noted=Noted(reason, cancels, noted_by_tax(bill.lines, taken.noted_minor)), usage={}
    )


def _noted_line(line: Line, amount_minor: int) -> Line:
    """The line of a note: the amount, with the text and tax of the line that it takes back."""
    return Line(
        number=line.number,
        kind=line.kind,
        text=line.text,
        unit_price=Decimal(amount_from_minor(abs(amount_minor))),
        quantity=-1 if amount_minor < 0 else 1,
        unit=Unit.FLAT,
        tax=line.tax,
        product=line.product,
        corrects=line.corrects,
    )


def _check_not_written_off(taken: TakenBack) -> None:
    if taken.was_written_off:
        raise RuleViolation("The bill was written off; take the write-off back first.")
