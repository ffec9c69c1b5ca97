"""`leadger payments`, `refunds`, `credit-notes`, `statement` and the other commands of an account, as typed."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from scripts.cli.app import app
from scripts.cli.bank_csv import read_payments
from scripts.client import Client
from scripts.errors import CannotStart
from tests.stack import Stack


def leadger(stack: Stack, *words: str, **env: str) -> str:
    done = CliRunner().invoke(app, list(words), env=stack.env | env)
    assert done.exit_code == 0, done.output
    return done.stdout


def as_json(stack: Stack, *words: str, **env: str) -> Any:
    return json.loads(leadger(stack, *words, "--json", **env))


def bank_file(folder: Path, *rows: str) -> Path:
    file = folder / "bank.csv"
    file.write_text("\n".join(("paid_on,amount,reference", *rows)))
    return file


def test_a_bill_is_paid_from_the_bank_and_a_part_is_credited(stack: Stack, tmp_path: Path) -> None:
    partner = f"acc{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": partner, "name": partner})
        client.send("PUT", "/api/seller", json={"name": "Leadger Ltd"})
        client.patch(f"/api/partners/{partner}", {"preferences": {"approvals": []}, "billing_from": "2024-04"})
    month = (partner, "2024-04")
    leadger(stack, "adjustments", "add", *month, "30.00", "--text", "Setup", "--reason", "agreed")
    for move in ("make", "submit", "issue"):
        leadger(stack, "bills", move, *month)
    number = as_json(stack, "bills", "show", *month)["number"]

    rows = (f"2024-06-01,12.00,Invoice {number} thanks", "2024-06-01,5.00,Rent", f"2024-06-02,-3.00,{number}")
    file = bank_file(tmp_path, *rows)
    tried = as_json(stack, "payments", "import", str(file), "--dry-run")
    assert [(each["line"], each["result"]) for each in tried] == [
        (2, "would be entered"),
        (3, "names no bill"),
        (4, "no payment to us"),
    ]
    assert as_json(stack, "payments", "list", "--partner", partner) == []
    done = as_json(stack, "payments", "import", str(file))
    assert [each["result"] for each in done] == ["entered", "names no bill", "no payment to us"]
    assert done[0]["partner"] == partner
    (paid,) = as_json(stack, "payments", "list", "--partner", partner)
    assert (paid["amount"], paid["left"], paid["allocations"][0]["document"]) == ("12.00", "0.00", number)

    note = as_json(stack, "credit-notes", "create", number, "--line", "1=5.00", "--reason", "Late.")
    as_json(stack, "credit-notes", "submit", note["bill_id"])
    issued = as_json(stack, "credit-notes", "issue", note["bill_id"])
    assert issued["number"] in leadger(stack, "credit-notes", "list", "--partner", partner)
    found = as_json(stack, "statement", partner)
    assert [each["kind"] for each in found["entries"]] == ["bill", "payment", "credit_note"]
    assert (found["closing"], number in leadger(stack, "statement", partner)) == ("13.00", True)
    ages = [each for each in as_json(stack, "ageing", "--limit", "0") if each["partner"] == partner]
    assert [each["open"] for each in ages] == ["13.00"]
    undone = as_json(stack, "payments", "reverse", paid["external_id"], "--reason", "Bounced.")
    assert undone["reversed"]["reason"] == "Bounced."
    paying = ("payments", "add", partner, "30.00", "--id", partner, "--paid-on", "2024-06-03")
    assert "5.00 left" in leadger(stack, *paying, "--for", f"{number}=25.00")
    for more in ((), ("--dry-run",)):  # now nothing of the bill is open
        again = as_json(stack, "payments", "import", str(file), *more)
        assert [each["result"] for each in again] == ["was entered before", "names no bill", "no payment to us"]


def test_a_month_is_adjusted_and_an_adjustment_is_taken_back(stack: Stack) -> None:
    partner = f"adj{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": partner, "name": partner})
        client.patch(f"/api/partners/{partner}", {"billing_from": "2024-04"})
    month = (partner, "2024-04")
    words = ("--text", "Goodwill", "--reason", "Late leads.")
    off = as_json(stack, "adjustments", "add", *month, "-2.50", *words)
    assert (off["amount"], off["tax"], off["own_tax"]) == ("-2.50", None, False)
    taxed = as_json(stack, "adjustments", "add", *month, "30.00", *words, "--tax", "S=20.00")
    assert (taxed["tax"], taxed["own_tax"]) == ({"category": "S", "rate": "20.00"}, True)
    free = as_json(stack, "adjustments", "add", *month, "1.00", *words, "--tax", "none")
    assert (free["tax"], free["own_tax"]) == (None, True)
    leadger(stack, "bills", "make", *month)
    assert as_json(stack, "bills", "show", *month)["net"] == "28.50"
    assert "is taken back" in leadger(stack, "adjustments", "take-back", off["adjustment_id"])
    assert as_json(stack, "bills", "show", *month)["net"] == "31.00"
    listed = as_json(stack, "adjustments", "list", "--partner", partner, "--period", "2024-04")
    assert [(each["amount"], each["taken_back_at"] is None) for each in listed] == [
        ("1.00", True),
        ("30.00", True),
        ("-2.50", False),
    ]
    shown = leadger(stack, "adjustments", "list", "--partner", partner)
    assert ("Goodwill" in shown, "-2.50 EUR" in shown) == (True, True)
    for wrong, said in (((*month, "1.00", *words, "--tax", "S"), "like S=20.00"), ((*month, "0.00", *words), "0.00")):
        refused = CliRunner().invoke(app, ["adjustments", "add", *wrong], env=stack.env)
        assert (refused.exit_code, said in refused.output) == (1, True), refused.output


def test_a_bill_is_disputed_and_written_off_and_what_is_left_is_refunded(stack: Stack) -> None:
    partner = f"rest{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": partner, "name": partner})
        client.send("PUT", "/api/seller", json={"name": "Leadger Ltd"})
        client.patch(f"/api/partners/{partner}", {"preferences": {"approvals": []}, "billing_from": "2024-04"})
    month, of_it = (partner, "2024-04"), ("--partner", partner)
    leadger(stack, "adjustments", "add", *month, "30.00", "--text", "Setup", "--reason", "agreed")
    for move in ("make", "submit", "issue"):
        leadger(stack, "bills", move, *month)
    bill = as_json(stack, "bills", "show", *month)
    number = bill["number"]

    said = leadger(stack, "disputes", "add", number, "--reason", "One lead less.")
    assert said == f"{number} of {partner} is disputed: 30.00 of 30.00 EUR is open.\n"
    assert "One lead less." in leadger(stack, "disputes", "list", *of_it)
    assert [each["number"] for each in as_json(stack, "disputes", "list", *of_it)] == [number]
    assert as_json(stack, "disputes", "end", bill["bill_id"])["disputed"] is None
    assert as_json(stack, "disputes", "list", *of_it) == []

    said = leadger(stack, "write-offs", "add", number, "--reason", "Too little.")
    assert said == f"{number} of {partner} is written off: 0.00 of 30.00 EUR is open.\n"
    assert number in leadger(stack, "write-offs", "list", *of_it)
    assert [each["number"] for each in as_json(stack, "write-offs", "list", *of_it)] == [number]
    assert as_json(stack, "write-offs", "take-back", number, "--reason", "Paid after all.")["open"] == "30.00"
    assert as_json(stack, "write-offs", "list", *of_it) == []

    said = leadger(stack, "opening-items", "add", partner, "-50.00", "--id", f"{partner}/1")
    assert said == f"-50.00 EUR of {partner} from before: 0.00 open, 20.00 left.\n"
    owed = as_json(stack, "opening-items", "add", partner, "5.00", "--id", f"{partner}/2", "--due-on", "2024-06-01")
    assert (owed["due_on"], owed["open"]) == ("2024-06-01", "0.00")
    shown = leadger(stack, "opening-items", "list", *of_it)
    assert f"{number} 30.00, {partner}/2 5.00" in shown
    assert [each["left"] for each in as_json(stack, "opening-items", "list", *of_it)] == ["0.00", "15.00"]

    refund = ("refunds", "add", partner, "15.00", "--id", f"{partner}/back", "--paid-on", "2024-06-10")
    assert leadger(stack, *refund) == f"15.00 EUR were paid back to {partner}, of {partner}/1 15.00.\n"
    assert as_json(stack, *refund)["reference"] == f"{partner}/back"  # typed again it changes nothing
    assert f"{partner}/1 15.00" in leadger(stack, "refunds", "list", *of_it)
    assert "is reversed" in leadger(stack, "refunds", "reverse", f"{partner}/back", "--reason", "It came back.")
    assert [each["reversed"]["reason"] for each in as_json(stack, "refunds", "list", *of_it)] == ["It came back."]
    undone = as_json(stack, "opening-items", "reverse", f"{partner}/1", "--reason", "Not theirs.")
    assert (undone["reversed"]["reason"], undone["allocations"]) == ("Not theirs.", [])
    assert as_json(stack, "statement", partner)["closing"] == "35.00"

    for wrong, why in (
        ((*refund[:3], "0.01", *refund[4:5], "more", *refund[6:]), "left"),
        (("write-offs", "take-back", number, "--reason", "Again."), "that was written off"),
        (("disputes", "end", "NONE-0001"), "There is no bill with the number NONE-0001."),
        (("disputes", "end", str(uuid4())), "There is no bill "),
        (("opening-items", "reverse", "none", "--reason", "x"), "There is no opening item 'none'."),
    ):
        refused = CliRunner().invoke(app, list(wrong), env=stack.env)
        assert (refused.exit_code, why in refused.output) == (1, True), refused.output


def test_a_row_of_the_bank_keeps_its_name_and_a_twin_gets_its_own(tmp_path: Path) -> None:
    rows = ("2024-06-01,12.00,acme-0001 and AC-0002;X", "2024-06-01,12.00,acme-0001 and AC-0002;X")
    first, twin = read_payments(bank_file(tmp_path, *rows))
    again, _ = read_payments(bank_file(tmp_path, *rows))
    assert (first.external_id, first.numbers) == (again.external_id, ["ACME-0001", "AC-0002"])
    assert first.external_id != twin.external_id
    with pytest.raises(CannotStart, match="line 2: it must be an amount"):
        list(read_payments(bank_file(tmp_path, "2024-06-01,x,y")))
    with pytest.raises(CannotStart, match="line 3: it must have a day"):
        list(read_payments(bank_file(tmp_path, "2024-06-01,1.00,y", "06/01/2024,1.00,y")))
    (tmp_path / "bank.csv").write_text(
        '"Buchungstag";Betrag;Saldo;Verwendungszweck\n01.06.2024;"1.234,50 €";1,00;ACME-0001'
    )
    (german,) = read_payments(tmp_path / "bank.csv")
    assert (german.paid_on, german.amount, german.numbers) == (date(2024, 6, 1), Decimal("1234.50"), ["ACME-0001"])
    (tmp_path / "bank.csv").write_text("amount\n1.00")
    with pytest.raises(CannotStart, match="no column paid_on and reference"):
        list(read_payments(tmp_path / "bank.csv"))
