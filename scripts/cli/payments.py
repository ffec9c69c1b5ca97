"""`leadger payments`: what partners paid, and which bills that is for."""

from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from scripts.cli import documents
from scripts.cli.bank_csv import BankPayment, read_payments
from scripts.cli.connection import api_command
from scripts.cli.parameters import OnlyPartner, Partner
from scripts.client import Client, Refused
from scripts.console import Json, Limit, add_row, console, new_table, note, print_json, print_list, some_pages
from scripts.errors import CannotStart

_BEFORE = "was entered before"

payments = typer.Typer(help="Payments: what partners paid, and which bills that is for.", no_args_is_help=True)


@payments.command("add")
@api_command
def add(
    client: Client,
    partner: Partner,
    amount: Annotated[str, typer.Argument(help="How much, like 12.00.")],
    name: Annotated[str, typer.Option("--id", help="The payment's own id; the same again changes nothing.")],
    paid_on: Annotated[str, typer.Option("--paid-on", metavar="DAY", help="The day, like 2024-06-01.")],
    reference: Annotated[str | None, typer.Option("--reference", help="What the payer wrote; else the id.")] = None,
    allocations: Annotated[
        list[str] | None,
        typer.Option("--for", metavar="BILL=AMOUNT", help="A bill that it is for; else what is due first."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Enter a payment; it is used for the bills that it names, and then for what is due first."""
    body = {"external_id": name, "partner": partner, "amount": amount, "paid_on": paid_on}
    named = [_allocation(each) for each in allocations or []]
    _print(client.post("/api/payments", body | {"reference": reference or name, "allocations": named}), as_json)


@payments.command("list")
@api_command
def list_payments(
    client: Client,
    partner: OnlyPartner = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List payments with what they are used for, the newest first."""
    items, more = some_pages(client, "/api/payments", limit, partner=partner)
    table = new_table(("Id", "Partner", "Paid on", "Amount", "Used for", "Left"), right=("Amount", "Left"))
    for each in items:
        figures = (each["amount"], documents.uses(each), each["left"])
        add_row(table, each["external_id"], each["partner"], each["paid_on"], *figures)
    print_list(items, more, table, "There are no payments.", as_json=as_json)


@payments.command("reverse")
@api_command
def reverse(
    client: Client,
    name: Annotated[str, typer.Argument(metavar="ID", help="The payment's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    as_json: Json = False,
) -> None:
    """Take a payment back: what it was used for is open again."""
    documents.reverse(client, "/api/payments", name, reason, "Payment", as_json)


@payments.command("import")
@api_command
def import_file(
    client: Client,
    file: Annotated[
        Path, typer.Argument(help="A CSV file with paid_on, amount, reference, and external_id if you like.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be entered, and enter nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Enter the payments of a bank's file, each for the bills whose numbers its reference names.

    What names no bill is left out and said; a file that is imported again enters nothing twice. Headings may be German,
    too: Buchungstag, Betrag, Verwendungszweck.
    """
    results = [_imported(client, each, dry_run) for each in read_payments(file)]
    table = new_table(("Line", "Amount", "Reference", "Partner", "For", "Result"), right=("Line", "Amount"))
    for each in results:
        bills = ", ".join(f"{one['bill']} {one['amount']}" for one in each["allocations"])
        add_row(table, each["line"], each["amount"], each["reference"], each["partner"], bills, each["result"])
    print_list(results, False, table, "The file has no payments.", as_json=as_json)
    left_out = sum(each["result"] not in ("entered", "would be entered", _BEFORE) for each in results)
    if left_out and not as_json:
        note(f"{left_out} of {len(results)} rows were left out.")


def _imported(client: Client, row: BankPayment, dry_run: bool) -> dict[str, Any]:
    """What became of a row of the bank's file."""
    shown = {"line": row.line, "amount": f"{row.amount:.2f}", "reference": row.reference}
    known = [bill for number in row.numbers for bill in client.get("/api/bills", number=number)["items"]]
    partners = {bill["partner"] for bill in known}
    partner = partners.pop() if len(partners) == 1 else None
    result = "would be entered" if dry_run else "entered"
    if row.amount <= 0:
        result = "no payment to us"
    elif not known:
        result = "names no bill"
    elif partner is None:
        result = "names bills of several partners"
    named = _divided(row.amount, known) if partner and row.amount > 0 else []
    if partner and row.amount > 0 and _is_entered(client, row, partner):
        result, named = _BEFORE, []
    elif result == "entered":
        body = {"external_id": row.external_id, "partner": partner, "amount": shown["amount"]}
        rest = {"paid_on": row.paid_on.isoformat(), "reference": row.reference, "allocations": named}
        try:
            client.post("/api/payments", body | rest)
        except Refused as error:
            result = str(error)
    return shown | {"partner": partner, "external_id": row.external_id, "allocations": named, "result": result}


def _is_entered(client: Client, row: BankPayment, partner: str) -> bool:
    """Whether this payment was entered before; what it is for may be another bill by now."""
    try:
        found = client.get(f"/api/payments/{quote(row.external_id, safe='')}")
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    entered = (found["partner"], found["amount"], found["paid_on"], found["reference"])
    return bool(entered == (partner, f"{row.amount:.2f}", row.paid_on.isoformat(), row.reference))


def _divided(amount: Decimal, bills: list[dict[str, Any]]) -> list[dict[str, str]]:
    """How much of an amount is for each bill, in their order, up to what is open of it."""
    named = []
    for bill in bills:
        part = min(amount, Decimal(bill["open"]))
        if part > 0:
            named.append({"bill": bill["number"], "amount": f"{part:.2f}"})
            amount -= part
    return named


def _allocation(text: str) -> dict[str, str]:
    bill, equals, amount = text.partition("=")
    if not equals:
        raise CannotStart(f"--for takes a bill and an amount, like ACME-0001=12.00, and not {text!r}.")
    return {"bill": bill, "amount": amount}


def _print(payment: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(payment)
        return
    used = documents.allocated(payment) or "nothing yet"
    console().print(
        f"{payment['amount']} {payment['currency']} of {payment['partner']}: used for {used}; {payment['left']} left.",
        markup=False,
        soft_wrap=True,
    )
