"""The command `leadger`."""

from typing import Annotated

import typer

from db.core.version import version
from scripts.cli.accounts import ageing, statement
from scripts.cli.actions import correct, hold, release, return_action
from scripts.cli.adjustments import adjustments
from scripts.cli.attribution import attribution
from scripts.cli.audit import audit
from scripts.cli.backup import backup, restore
from scripts.cli.billing import billing
from scripts.cli.bills import bills
from scripts.cli.credit_notes import credit_notes
from scripts.cli.disputes import disputes
from scripts.cli.doctor.command import doctor
from scripts.cli.erase import erase
from scripts.cli.examples import add_examples
from scripts.cli.explain import batch, explain, lead
from scripts.cli.fraud import fraud
from scripts.cli.held import held
from scripts.cli.ingest.command import ingest
from scripts.cli.keys import keys
from scripts.cli.mails import mails
from scripts.cli.migrate import migrate
from scripts.cli.opening_items import opening_items
from scripts.cli.partners import partners
from scripts.cli.payments import payments
from scripts.cli.periods import close, rebuild, reopen
from scripts.cli.products import products
from scripts.cli.quarantine import dead_letters, quarantine
from scripts.cli.rates import rates
from scripts.cli.reconcile import reconcile
from scripts.cli.refunds import refunds
from scripts.cli.replay import replay
from scripts.cli.report import report
from scripts.cli.returns import returns
from scripts.cli.samples import samples
from scripts.cli.seed import seed
from scripts.cli.tasks import tasks
from scripts.cli.up import up
from scripts.cli.usage import usage
from scripts.cli.users import users
from scripts.cli.verify import verify
from scripts.cli.webhooks import webhooks
from scripts.cli.what_if import what_if
from scripts.cli.workers import pause, resume, stuck
from scripts.cli.write_offs import write_offs

app = typer.Typer(name="leadger", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")

_RUN = "Run"
_LEADS = "Leads"
_BILLING = "Billing"
_ACCESS = "Access"


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"leadger {version()}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Leadger: ingest leads, bill every action at most once, explain every cent.

    All commands but `up`, `doctor`, `migrate`, `backup`, `restore` and `verify` speak to a running Leadger, by
    LEADGER_URL and LEADGER_API_KEY or, on this machine, by the dev.env in LEADGER_HOME.
    Status 0 is success; 1 comes with one message that says what is wrong.
    """


app.command(rich_help_panel=_RUN)(up)
app.command(rich_help_panel=_RUN)(doctor)
app.command(rich_help_panel=_RUN)(migrate)
app.command(rich_help_panel=_RUN)(backup)
app.command(rich_help_panel=_RUN)(restore)
app.command(rich_help_panel=_RUN)(samples)
app.command(rich_help_panel=_RUN)(seed)
app.add_typer(tasks, name="tasks", rich_help_panel=_RUN)
app.command(rich_help_panel=_RUN)(pause)
app.command(rich_help_panel=_RUN)(resume)
app.command(rich_help_panel=_LEADS)(ingest)
app.command(rich_help_panel=_LEADS)(lead)
app.command(rich_help_panel=_LEADS)(explain)
app.command(rich_help_panel=_LEADS)(batch)
app.add_typer(quarantine, name="quarantine", rich_help_panel=_LEADS)
app.add_typer(dead_letters, name="dead-letters", rich_help_panel=_LEADS)
app.add_typer(stuck, name="stuck", rich_help_panel=_LEADS)
app.command(rich_help_panel=_BILLING)(report)
app.command(rich_help_panel=_BILLING)(reconcile)
app.command(rich_help_panel=_BILLING)(verify)
app.command(rich_help_panel=_BILLING)(replay)
app.command(rich_help_panel=_BILLING)(rebuild)
app.command(rich_help_panel=_BILLING)(close)
app.command(rich_help_panel=_BILLING)(reopen)
app.command(rich_help_panel=_BILLING)(hold)
app.command(rich_help_panel=_BILLING)(release)
app.command("return", rich_help_panel=_BILLING)(return_action)
app.command(rich_help_panel=_BILLING)(correct)
app.add_typer(rates, name="rates", rich_help_panel=_BILLING)
app.command("what-if", rich_help_panel=_BILLING)(what_if)
app.add_typer(partners, name="partners", rich_help_panel=_BILLING)
app.add_typer(products, name="products", rich_help_panel=_BILLING)
app.add_typer(usage, name="usage", rich_help_panel=_BILLING)
app.add_typer(adjustments, name="adjustments", rich_help_panel=_BILLING)
app.add_typer(billing, name="billing", rich_help_panel=_BILLING)
app.add_typer(bills, name="bills", rich_help_panel=_BILLING)
app.add_typer(credit_notes, name="credit-notes", rich_help_panel=_BILLING)
app.add_typer(mails, name="mails", rich_help_panel=_BILLING)
app.add_typer(returns, name="returns", rich_help_panel=_BILLING)
app.add_typer(payments, name="payments", rich_help_panel=_BILLING)
app.add_typer(refunds, name="refunds", rich_help_panel=_BILLING)
app.add_typer(opening_items, name="opening-items", rich_help_panel=_BILLING)
app.add_typer(write_offs, name="write-offs", rich_help_panel=_BILLING)
app.add_typer(disputes, name="disputes", rich_help_panel=_BILLING)
app.command(rich_help_panel=_BILLING)(statement)
app.command(rich_help_panel=_BILLING)(ageing)
app.command(rich_help_panel=_BILLING)(attribution)
app.add_typer(fraud, name="fraud", rich_help_panel=_BILLING)
app.add_typer(held, name="held", rich_help_panel=_BILLING)
app.add_typer(users, name="users", rich_help_panel=_ACCESS)
app.add_typer(keys, name="keys", rich_help_panel=_ACCESS)
app.add_typer(webhooks, name="webhooks", rich_help_panel=_ACCESS)
app.command(rich_help_panel=_ACCESS)(erase)
app.command(rich_help_panel=_ACCESS)(audit)
add_examples(app)
