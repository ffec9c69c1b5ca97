"""`leadger keys`: API keys, made, listed, rotated and revoked."""

import os
import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from scripts.cli.connection import Key, Url, api_command, connect
from scripts.cli.durations import seconds
from scripts.client import Client
from scripts.console import Json, add_row, console, moment, new_table, note, one_message, print_json, print_list
from scripts.errors import CannotStart

keys = typer.Typer(help="API keys: make, list, rotate and revoke them.", no_args_is_help=True)

SCOPES = ("ingest", "read", "bill", "pricing", "metrics", "admin")  # written here, because help must not load `db`
KeyId = Annotated[UUID, typer.Argument(metavar="KEY_ID", help="The key's id; `leadger keys list` shows it.")]


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, so that you know it again.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help=f"What it may do; may be repeated: {', '.join(SCOPES)} (everything)."),
    ] = None,
    partner: Annotated[
        str | None, typer.Option(help="Bind it to this partner: it sees no other; for ingest, read, bill and pricing.")
    ] = None,
    first: Annotated[
        bool,
        typer.Option(
            "--first",
            help="Write the very first key straight into the database of DATABASE_URL; default scopes: all.",
        ),
    ] = False,
    sha256: Annotated[
        str | None,
        typer.Option(
            metavar="HEX", help="With --first: the checksum of a key that you made yourself; nothing is printed then."
        ),
    ] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make an API key. Its secret is printed once and stored nowhere: keep it now.

    The secret goes to standard output, so that it can be handed on; everything else goes to standard error.
    """
    with one_message():
        scopes = _scopes(scope, first)
        if first and partner:
            raise CannotStart("The first key can make others, so it is not bound to a partner.")
        if sha256 is not None:
            _store_first_key(name, scopes, _hash(sha256, first))
            note(f"The key {name} may be used, for {', '.join(scopes)}.")
            return
        if first:
            made: dict[str, Any] = {"name": name, "scopes": scopes, "key": _first_key(name, scopes)}
        else:
            with connect(url, key) as client:
                made = client.post("/api/keys", {"name": name, "scopes": scopes, "partner": partner}, repeatable=False)
    _print_secret(made, f"A key for {', '.join(made['scopes'])}; it is shown only now.", as_json)


@keys.command("list")
@api_command
def list_keys(client: Client, as_json: Json = False) -> None:
    """List all keys, newest first, without their secrets."""
    items = list(client.pages("/api/keys"))
    table = new_table(("Key id", "Name", "Scopes", "Partner", "Made", "State"), unbroken=["Key id"])
    for each in items:
        add_row(
            table,
            each["key_id"],
            each["name"],
            ", ".join(each["scopes"]),
            each["partner"],
            moment(each["created_at"]),
            _state(each),
        )
    print_list(items, False, table, "There are no keys.", as_json=as_json)


@keys.command("rotate")
@api_command
def rotate(
    client: Client,
    key_id: KeyId,
    overlap: Annotated[
        str, typer.Option(metavar="TIME", help="How long the old key works on, like 90s, 15m, 1h, 7d or 0.")
    ] = "1h",
    as_json: Json = False,
) -> None:
    """Make a new key with the same name and scopes; the old one works on for a while."""
    made = client.post(f"/api/keys/{key_id}/rotate", {"overlap_s": seconds(overlap, "--overlap")}, repeatable=False)
    _print_secret(made, f"The new key is shown only now; {key_id} works on for {overlap}.", as_json)


@keys.command("revoke")
@api_command
def revoke(client: Client, key_id: KeyId) -> None:
    """End a key; within two seconds every process refuses it."""
    client.delete(f"/api/keys/{key_id}")
    note(f"{key_id} is revoked.")


def _scopes(named: list[str] | None, first: bool) -> list[str]:
    scopes = list(named or (SCOPES if first else ()))
    if not scopes:
        raise CannotStart(f"Say what the key may do with --scope, once or several times: {', '.join(SCOPES)}.")
    for scope in scopes:
        if scope not in SCOPES:
            raise CannotStart(f"There is no scope {scope!r}; there are {', '.join(SCOPES)}.")
    return scopes


def _first_key(name: str, scopes: list[str]) -> str:
    from db.access.api_keys import hash_of, new_secret

    secret = new_secret()
    _store_first_key(name, scopes, hash_of(secret))
    return secret


def _store_first_key(name: str, scopes: list[str], key_hash: bytes) -> None:
    # Only here the command line touches a database; the libraries for that take a second to load.
    from scripts.operations.database import store_first_key

    database_url = os.environ.get("DATABASE_URL")
    if not database_url:
        raise CannotStart(
            "--first writes into a database: name it with DATABASE_URL. With `scripts/run` there is a key already, "
            "in dev.env in LEADGER_HOME."
        )
    store_first_key(database_url, name, scopes, key_hash)


def _hash(sha256: str, first: bool) -> bytes:
    if not first:
        raise CannotStart("--sha256 goes with --first.")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise CannotStart("--sha256 takes 64 hexadecimal digits, the SHA-256 of a key.")
    return bytes.fromhex(sha256)


def _print_secret(made: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    if "key_id" in made:
        text = f"{text} Its id is {made['key_id']}."
    note(text)
    console().print(made["key"], markup=False, soft_wrap=True)


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"]:
        return f"revoked {moment(key['revoked_at'])}"
    if not key["expires_at"]:
        return "valid"
    over = datetime.fromisoformat(key["expires_at"]) <= datetime.now(UTC)
    return f"{'expired' if over else 'valid until'} {moment(key['expires_at'])}"
