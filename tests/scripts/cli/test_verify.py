"""`leadger verify`, as a person types it (B11)."""

import json
from pathlib import Path

from typer.testing import CliRunner

from billing.bills.digest import document_from_bill
from billing.bills.lines import lines_of
from billing.bills.values import TermsOfBill
from scripts.cli.app import app
from tests.billing.bills.builders import ISSUE, S20, content, product

DOCUMENT = document_from_bill(content(*lines_of(TermsOfBill(tax=S20), [product(1234)], [], {}, [])), ISSUE)


def test_b11_a_file_is_proven_without_a_running_leadger(tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    file.write_text(json.dumps(DOCUMENT, indent=2))
    shown = CliRunner().invoke(app, ["verify", str(file)])
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout == (
        "ACME-0007 is proven: its sums, its digest and its seal are right.\n"
        f"digest {DOCUMENT['digest']}\nseal   {DOCUMENT['seal']}\n"
    )
    as_json = CliRunner().invoke(app, ["verify", str(file), "--json"])
    assert json.loads(as_json.stdout) == {
        "proven": True,
        "difference": None,
        "number": "ACME-0007",
        "digest": DOCUMENT["digest"],
        "seal": DOCUMENT["seal"],
    }


def test_b11_the_first_difference_is_one_message_and_status_1(tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    file.write_text(json.dumps(DOCUMENT).replace('"total": "14.81"', '"total": "4.81"'))
    shown = CliRunner().invoke(app, ["verify", str(file)])
    said = "total is 4.81 in the file and 14.81 by its own figures"
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr == f"leadger: {file} is not what was issued: {said}.\n"
    as_json = CliRunner().invoke(app, ["verify", str(file), "--json"])
    assert (as_json.exit_code, json.loads(as_json.stdout)["difference"]) == (1, said)


def test_b11_another_file_is_refused_with_one_message(tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    missing = CliRunner().invoke(app, ["verify", str(file)])
    assert missing.stderr == f"leadger: {file} cannot be read: No such file or directory.\n"
    file.write_text("[]")
    other = CliRunner().invoke(app, ["verify", str(file)])
    assert (other.exit_code, other.stderr) == (
        1,
        f"leadger: {file} cannot be proven: it is no bill of Leadger as JSON.\n",
    )
