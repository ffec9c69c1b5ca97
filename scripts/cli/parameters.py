"""The arguments and options that many commands have: a partner, a month and a bill, named or as a filter."""

from typing import Annotated

import typer

Partner = Annotated[str, typer.Argument(metavar="PARTNER", help="The partner's id.")]
Period = Annotated[str, typer.Argument(metavar="PERIOD", help="The month, like 2024-04.")]
Bill = Annotated[str, typer.Argument(metavar="BILL", help="The number of the bill, like ACME-0001, or its id.")]
OnlyPartner = Annotated[str | None, typer.Option("--partner", metavar="ID", help="Only this partner's.")]
OnlyPeriod = Annotated[str | None, typer.Option("--period", metavar="PERIOD", help="Only this month's, like 2024-04.")]
