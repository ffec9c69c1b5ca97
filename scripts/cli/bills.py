"""`leadger bills`: from a closed month to an issued bill."""

import time
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from scripts.cli.connection import api_command, signed_in
from scripts.cli.parameters import OnlyPartner, OnlyPeriod, Partner, Period
from scripts.cli.periods import month, name_undecided
from scripts.client import Client
from scripts.console import (
    Json,
    Limit,
    add_row,
    console,
    follow_task,
    moment,
    new_table,
    print_json,
    print_list,
    print_panel,
    some_pages,
)
from scripts.errors import CannotStart

bills = typer.Typer(help="Bills: make, review and issue them, a partner's month at a time.", no_args_is_help=True)

_FORMATS = ("pdf", "csv", "json", "xlsx")
_FILES_S = 30
_DONE = {
    "submit": ("pending", "approved", "issued", "paid"),
    "approve": ("approved", "issued", "paid"),
    "issue": ("issued", "paid"),
}
"""The states of a bill with which a move was made: typed again, it changes nothing."""

Reason = Annotated[str, typer.Option("--reason", help="Why; it stays in the history of the bill.")]
Comment = Annotated[str | None, typer.Option("--comment", help="What to keep in the history of the bill.")]
Who = Annotated[
    str,
    typer.Option(
        "--as", metavar="EMAIL", help="The person who does it; the password is LEADGER_PASSWORD, or is asked for."
    ),
]


@bills.command("make")
@api_command
def make(client: Client, partner: Partner, period: Period, as_json: Json = False) -> None:
    """Make the bill of a month, and of each before it that has none; what is open of them is closed for it."""
    answer = client.post("/api/bills", {"partner": partner, "period": month(period)}, repeatable=False)
    if "task_id" in answer:
        made = follow_task(client, answer, f"Making the bill of {partner} {period}")
        if "undecided" in made:  # a worker of the release before does not say so
            name_undecided(made["undecided"], f"through {period}")
    found = _live(client, partner, period)
    if found is not None:
        _print_bill(found, as_json)
    elif as_json:
        print_json(None)
    else:
        console().print(f"{partner} has nothing to pay for {period}: no bill is needed.", markup=False)


@bills.command("list")
@api_command
def list_bills(
    client: Client,
    partner: OnlyPartner = None,
    period: OnlyPeriod = None,
    state: Annotated[str | None, typer.Option(help="Only those in this state, like pending.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only issued ones whose due date has passed.")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List bills, the newest first."""
    only = {"partner": partner, "period": period and month(period), "state": state}
    items, more = some_pages(client, "/api/bills", limit, **only, overdue="true" if overdue else None)
    table = new_table(("Partner", "Month", "Number", "State", "Gross", "Open", "Due"), right=("Gross", "Open"))
    for each in items:
        figures = (each["gross"], each["open"], each["due_on"])
        add_row(table, each["partner"], each["period"], each["number"], each["state"], *figures)
    print_list(items, more, table, "There are no bills.", as_json=as_json)


@bills.command("show")
@api_command
def show(client: Client, partner: Partner, period: Period, as_json: Json = False) -> None:
    """Show the bill of a month with its lines, tax and totals, and what can be done with it next."""
    _print_bill(_bill(client, partner, period), as_json)


@bills.command("history")
@api_command
def history(client: Client, partner: Partner, period: Period, limit: Limit = 0, as_json: Json = False) -> None:
    """Show what was done with the bill of a month, by whom and when."""
    found = _bill(client, partner, period)
    items, more = some_pages(client, f"/api/bills/{found['bill_id']}/actions", limit)
    table = new_table(("At", "Who", "Move", "From", "To", "Comment"))
    for each in items:
        add_row(table, moment(each["at"]), each["who"]["name"], each["move"], each["from"], each["to"], each["comment"])
    print_list(items, more, table, "Nothing was done with it.", as_json=as_json)


@bills.command("download")
@api_command
def download(
    client: Client,
    partner: Partner,
    period: Period,
    kind: Annotated[str, typer.Option("--format", help="pdf, csv, json or xlsx.")] = "pdf",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; else its number here.")] = None,
    as_json: Json = False,
) -> None:
    """Write a file of an issued bill; waits until it is made."""
    if kind not in _FORMATS:
        raise CannotStart(f"There is no {kind} of a bill; there are {', '.join(_FORMATS)}.")
    found, file = _with_file(client, partner, period, kind)
    target = output or Path(f"{found['number']}.{kind}")
    with client.stream(file["url"]) as blocks, target.open("wb") as written:
        written.writelines(blocks)
    if as_json:
        print_json(file | {"file": str(target)})
    else:
        console().print(f"Wrote {target}.", markup=False)


@bills.command("send")
@api_command
def send(
    client: Client,
    partner: Partner,
    period: Period,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the mail and send nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Send an issued bill with its PDF to the partner; waits until that is made. Again, it is sent again."""
    found, _ = _with_file(client, partner, period, "pdf")
    send_bill(client, found, dry_run, as_json)


@bills.command("remind")
@api_command
def remind(
    client: Client,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and send nothing.")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Remind partners now of bills that are overdue; the schedule does it by itself, once at each step."""
    if not dry_run:
        done = follow_task(client, client.post("/api/reminders"), "Reminding partners")
        if as_json:
            print_json(done)
        else:
            console().print(f"{done['reminded']} reminders are on their way; {done['not_sent']} could not be sent.")
        return
    items, more = some_pages(client, "/api/reminders", limit)
    table = new_table(("Partner", "Number", "Due", "Days", "Open", "To"), right=("Days", "Open"))
    for each in items:
        to = ", ".join(each["to"]) or each["not_sent"]
        add_row(table, each["partner"], each["number"], each["due_on"], each["days"], each["open"], to)
    print_list(items, more, table, "No reminder is due.", as_json=as_json)


def numbered(client: Client, number_or_id: str) -> dict[str, Any]:
    """The bill or credit note with a number or an id; raises CannotStart if the text is neither."""
    listed = client.get("/api/bills", number=number_or_id)["items"]
    if not listed and not _is_id(number_or_id):
        raise CannotStart(f"There is no bill with the number {number_or_id}.")
    found: dict[str, Any] = client.get(f"/api/bills/{listed[0]['bill_id'] if listed else number_or_id}")
    return found


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def send_bill(client: Client, found: dict[str, Any], dry_run: bool, as_json: bool) -> None:
    """Send an issued bill or credit note as it was found, and say to whom."""
    query = {"dry_run": "true"} if dry_run else {}
    mail = client.post(f"/api/bills/{found['bill_id']}/send", {"digest": found["digest"]}, repeatable=False, **query)
    to, target = ", ".join(mail["to"]), console()
    if as_json:
        print_json(mail)
    elif dry_run:
        files = ", ".join(file["name"] for file in mail["attachments"])
        rows = {"To": to, "Subject": mail["subject"], "Files": files, "Sent before": mail["sent_before"]}
        print_panel(target, f"The mail with {mail['number']}", rows)
        target.print(mail["text"], markup=False)
    else:
        again = " again" if mail["sent_before"] else ""
        target.print(f"{mail['number']} is on its way{again} to {to}.", markup=False, soft_wrap=True)


def _with_file(client: Client, partner: str, period: str, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An issued bill and its file of a format, once that is made; a task makes it right after the issue."""
    deadline = time.monotonic() + _FILES_S
    while True:
        found = _bill(client, partner, period)
        for file in found["files"]:
            if file["format"] == kind:
                return found, file
        if found["number"] is None or time.monotonic() > deadline:
            raise CannotStart(
                f"The files of {found['number']} are not made yet; `leadger tasks list` tells why."
                if found["number"]
                else f"The bill of {partner} for {period} is not issued, so it has no files."
            )
        time.sleep(0.2)


def _simple(name: str, help_text: str, done: str) -> None:
    """A move that needs neither a person nor a reason."""

    @bills.command(name, help=help_text)
    @api_command
    def command(
        client: Client, partner: Partner, period: Period, comment: Comment = None, as_json: Json = False
    ) -> None:
        _move(client, partner, period, name, {"comment": comment}, done, as_json)


_simple("submit", "Ask for the approvals of a draft that the partner's terms want.", "waits for its approvals")
_simple("recall", "Take a bill that is reviewed back to draft; its approvals are dropped.", "is a draft again")
_simple("refresh", "Make a draft anew from what holds now.", "is made anew")
_simple("revise", "Take a rejected bill back to draft.", "is a draft again")
_simple("issue", "Number, date and seal an approved bill; it never changes again.", "is issued")


@bills.command("void")
@api_command
def void(client: Client, partner: Partner, period: Period, reason: Reason, as_json: Json = False) -> None:
    """Give up a bill that is not issued; its month can get another one."""
    _move(client, partner, period, "void", {"reason": reason}, "is void", as_json)


@bills.command("approve")
@api_command
def approve(
    client: Client, partner: Partner, period: Period, who: Who, comment: Comment = None, as_json: Json = False
) -> None:
    """Approve a bill that somebody else made; an Admin overrides what is asked, with a comment."""
    with signed_in(client, who):
        _move(client, partner, period, "approve", {"comment": comment}, "is approved", as_json)


@bills.command("reject")
@api_command
def reject(client: Client, partner: Partner, period: Period, who: Who, reason: Reason, as_json: Json = False) -> None:
    """Reject a bill with the reason."""
    with signed_in(client, who):
        _move(client, partner, period, "reject", {"reason": reason}, "is rejected", as_json)


@bills.command("withdraw")
@api_command
def withdraw(client: Client, partner: Partner, period: Period, who: Who, as_json: Json = False) -> None:
    """Take your own approval back."""
    with signed_in(client, who):
        _move(client, partner, period, "withdraw", {}, "waits for its approvals", as_json)


def _move(client: Client, partner: str, period: str, name: str, body: dict[str, Any], done: str, as_json: bool) -> None:
    found = _bill(client, partner, period)
    called = f"The bill of {partner} for {period}" + (f", {found['number']}," if found["number"] else "")
    if found["state"] in _DONE.get(name, ()) and not as_json:
        console().print(f"{called} is {found['state']}: {found['gross']} {found['currency']}.", markup=False)
        return
    moved = client.patch(f"/api/bills/{found['bill_id']}/{name}", {"digest": found["digest"]} | body)
    if as_json:
        print_json(moved)
        return
    called = f"The bill of {partner} for {period}" + (f", {moved['number']}," if moved["number"] else "")
    console().print(f"{called} {_said(moved, done)}: {moved['gross']} {moved['currency']}.", markup=False)


def _said(moved: dict[str, Any], done: str) -> str:
    """What became of the bill: one that asks for no approval is approved at once, one of 0.00 is paid."""
    if moved["state"] == "approved":
        return "is approved"
    if moved["state"] == "pending":
        return f"waits for {' and '.join(_open_places(moved))}"
    return done


def _open_places(bill: dict[str, Any]) -> list[str]:
    open_places: list[str] = list(bill["approvals"]["asked"])
    for given in bill["approvals"]["given"]:
        if given["by"] in open_places:
            open_places.remove(given["by"])
    names: dict[str, str] = {
        "csm": "the CSM",
        "customer_success": "Customer Success",
        "sales": "Sales",
        "any": "Customer Success or Sales",
    }
    return [names[place] for place in open_places]


def _bill(client: Client, partner: str, period: str) -> dict[str, Any]:
    found = _live(client, partner, period)
    if found is None:
        raise CannotStart(f"{partner} has no bill for {period}; `leadger bills make {partner} {period}` makes it.")
    return found


def _live(client: Client, partner: str, period: str) -> dict[str, Any] | None:
    """The one bill of a month that is neither void nor cancelled."""
    listed = client.get("/api/bills", partner=partner, period=month(period))["items"]
    live = (each for each in listed if each["corrects"] is None and each["state"] not in ("void", "cancelled"))
    head = next(live, None)
    found: dict[str, Any] | None = client.get(f"/api/bills/{head['bill_id']}") if head else None
    return found


def _print_bill(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    table = new_table(("Line", "Text", "Quantity", "Unit price", "Net"), right=("Quantity", "Unit price", "Net"))
    for line in found["lines"]:
        add_row(table, line["line"], line["text"], f"{line['quantity']:,}", line["unit_price"], line["net"])
    taxes = {f"Tax {tax['category']} {tax['rate']} %": tax["tax"] for tax in found["taxes"]}
    rows = {
        "State": found["state"],
        "Net": found["net"],
        **taxes,
        "Gross": f"{found['gross']} {found['currency']}",
        "Due": found["due_on"] and f"{found['due']} by {found['due_on']}",
        "Digest": found["digest"],
        "Next": ", ".join(found["moves"]) or "nothing",
    }
    target = console()
    target.print(table)
    print_panel(target, f"{found['partner']} {found['period']} {found['number'] or ''}".rstrip(), rows)
