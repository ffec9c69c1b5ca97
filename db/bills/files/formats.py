"""The formats of a bill's files."""

from collections.abc import Callable
from enum import StrEnum

from billing.bills.values import Content, Issue
from db.bills.files.csv_file import csv_file
from db.bills.files.json_file import json_file
from db.bills.files.pdf_file import pdf_file
from db.bills.files.xlsx_file import xlsx_file


class BillFormat(StrEnum):
    """The formats, by the endings of their names."""

    PDF = "pdf"
    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"


MEDIA_TYPES = {
    BillFormat.PDF: "application/pdf",
    BillFormat.CSV: "text/csv; charset=utf-8",
    BillFormat.JSON: "application/json",
    BillFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_MAKERS: dict[BillFormat, Callable[[Content, Issue], bytes]] = {
    BillFormat.PDF: pdf_file,
    BillFormat.CSV: csv_file,
    BillFormat.JSON: json_file,
    BillFormat.XLSX: xlsx_file,
}


def file_from_bill(content: Content, issue: Issue, kind: BillFormat) -> bytes:
    """One file of an issued bill or credit note, from nothing but what its seal proves."""
    return _MAKERS[kind](content, issue)
