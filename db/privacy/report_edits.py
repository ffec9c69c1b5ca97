"""Report files without a person: edits of their lines, which keep every figure."""

import csv
from collections.abc import Iterable, Iterator, Set
from uuid import UUID

import fsspec

from db.masters.erased import ERASED_NAME, erased_email
from db.privacy.rewriting import AS_IT_IS
from db.reports.csv_format import cell_as_given, csv_row
from db.reports.markdown_format import md_cell, md_cell_of_first_release


def csv_without_person(lines: Iterator[str], customer_id: UUID, actions: Set[str]) -> Iterator[str]:
    """The lines of a CSV file, those of the person's actions without e-mail, id and name."""
    rows = csv.reader(lines)
    head = next(rows, [])
    yield csv_row(head)
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        if cells["action_id"] in actions:
            erased = {
                "customer_email": erased_email(customer_id),
                "customer": str(customer_id),
                "customer_name": ERASED_NAME,
            }
            cells |= {name: text for name, text in erased.items() if name in cells}  # older files have no names
        yield csv_row(cells.values())


def markdown_without_person(lines: Iterator[str], customer_id: UUID, emails: Iterable[str]) -> Iterator[str]:
    """The lines of a Markdown file, table rows that begin with one of the e-mails without it."""
    beginnings = tuple(f"| {written(email)} | " for email in emails for written in (md_cell, md_cell_of_first_release))
    for line in lines:
        found = next((beginning for beginning in beginnings if line.startswith(beginning)), None)
        yield f"| {md_cell(erased_email(customer_id))} | {line.removeprefix(found)}" if found else line


def emails_in_csv(url: str, actions: Set[str]) -> set[str]:
    """The e-mails that a CSV file shows for actions, with and without the quotes that defuse them for spreadsheets."""
    try:
        with fsspec.open(url, "r", newline="", **AS_IT_IS) as file:
            shown = {row["customer_email"] for row in csv.DictReader(file) if row["action_id"] in actions}
    except FileNotFoundError:
        return set()
    return shown | {cell_as_given(email) for email in shown}
