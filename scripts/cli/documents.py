"""What the commands of payments, refunds and opening items have in common."""

from typing import Any
from urllib.parse import quote

from scripts.client import Client
from scripts.console import console, print_json


def reverse(client: Client, path: str, name: str, reason: str, called: str, as_json: bool) -> None:
    """Take a document of a partner's account back."""
    reversed_ = client.post(f"{path}/{quote(name, safe='')}/reverse", {"reason": reason})
    if as_json:
        print_json(reversed_)
    else:
        console().print(f"{called} {name} of {reversed_['partner']} is reversed.", markup=False)


def uses(document: dict[str, Any]) -> str:
    """What covers a document or what it covers, with how much; "reversed" if nothing ever will."""
    return "reversed" if document["reversed"] else allocated(document)


def allocated(document: dict[str, Any]) -> str:
    """What covers a document or what it covers, with how much."""
    return ", ".join(f"{each['document']} {each['amount']}" for each in document["allocations"])
