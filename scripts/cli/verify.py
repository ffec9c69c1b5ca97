"""`leadger verify`: the proof of an issued bill, from its file alone."""

import json
from pathlib import Path
from typing import Annotated

import typer

from billing.bills.verify import difference_in_file
from billing.errors import InvalidValue
from scripts.console import Json, one_message, print_json
from scripts.errors import CannotStart


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="The JSON file of an issued bill.")],
    as_json: Json = False,
) -> None:
    """Prove an issued bill from its file alone: its sums, its digest and its seal; needs no running Leadger.

    Status 1 and the first difference if one of them is not what the file says. Compare digest and seal with those
    printed on the PDF: whoever changes all of a file can compute others.
    """
    with one_message():
        text = _read(file)
        try:
            difference = difference_in_file(text)
        except InvalidValue as error:
            raise CannotStart(f"{file} cannot be proven: {error}.") from None
        proven = json.loads(text)
        if as_json:
            facts = {"number": proven["issue"]["number"], "digest": proven["digest"], "seal": proven["seal"]}
            print_json({"proven": difference is None, "difference": difference, **facts})
            raise typer.Exit(0 if difference is None else 1)
        if difference:
            raise CannotStart(f"{file} is not what was issued: {difference}.")
        print(f"{proven['issue']['number']} is proven: its sums, its digest and its seal are right.")
        print(f"digest {proven['digest']}\nseal   {proven['seal']}")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CannotStart(f"{file} cannot be read: {error.strerror}.") from None
