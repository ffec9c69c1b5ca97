"""`leadger products`: what partners offer, made and listed."""

from typing import Annotated

import typer

from scripts.cli.connection import api_command
from scripts.client import Client
from scripts.console import Json, Limit, add_row, console, new_table, print_json, print_list, some_pages

products = typer.Typer(help="Products: make and list what partners offer.", no_args_is_help=True)


@products.command("create")
@api_command
def create(
    client: Client,
    product: Annotated[str, typer.Argument(metavar="ID", help="Your own id of the product; leads name it.")],
    name: Annotated[str, typer.Argument(help="The product's name.")],
    partner: Annotated[str, typer.Option(metavar="ID", help="Whose it is, for ever.")],
    as_json: Json = False,
) -> None:
    """Create a product; the same again changes nothing."""
    made = client.post("/api/products", {"external_id": product, "partner": partner, "name": name})
    if as_json:
        print_json(made)
    else:
        console().print(f"There is {made['name']}, {product}, of {partner}.", markup=False)


@products.command("list")
@api_command
def list_products(client: Client, limit: Limit = 100, as_json: Json = False) -> None:
    """List products by id."""
    items, more = some_pages(client, "/api/products", limit)
    table = new_table(("Id", "Name", "Partner"))
    for each in items:
        add_row(table, each["external_id"], each["name"], each["partner"])
    print_list(items, more, table, "There is no product.", as_json=as_json)
