"""How a command reaches Leadger, and how it says what went wrong."""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from scripts.client import Client
from scripts.console import one_message
from scripts.errors import CannotStart
from scripts.local.launcher.home import DevEnv, read_dev_env

P = ParamSpec("P")

_ROOT = Path(__file__).parent.parent.parent
_PANEL = "Connection"

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Address of the API; else LEADGER_URL, else the running Leadger's own dev.env.",
        rich_help_panel=_PANEL,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="API key; else LEADGER_API_KEY, else dev.env. Other users of this machine can see it in the process list.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class Address:
    """Where the API is and with which key; None is what nobody named."""

    url: str | None
    api_key: str | None


def api_command(run: Callable[Concatenate[Client, P], None]) -> Callable[..., None]:
    """A command that is handed a connected client; it gets the options --url and --key, and fails with one message."""

    @wraps(run)
    def command(*args: Any, url: str | None = None, key: str | None = None, **options: Any) -> None:
        with one_message(), connect(url, key) as client:
            run(client, *args, **options)

    command.__signature__ = _with_connection_options(run)  # type: ignore[attr-defined]  # Typer reads the options there
    return command


def connect(url: str | None, key: str | None) -> Client:
    """A client for the address that options, environment or dev.env name; raises CannotStart if none does."""
    address = find_address(url, key)
    if not address.url:
        raise CannotStart(
            "It is not known where Leadger is: start one here with `scripts/run`, or name it with --url or LEADGER_URL "
            "(or the folder of a running one with LEADGER_HOME)."
        )
    if not address.api_key:
        raise CannotStart(f"There is no API key for {address.url}: give one with --key or LEADGER_API_KEY.")
    return Client(address.url, address.api_key)


def find_address(url: str | None, key: str | None) -> Address:
    """The address by option, environment and dev.env, in this order; dev.env's key goes to dev.env's URL only."""
    known = _dev_env()
    url = url or os.environ.get("LEADGER_URL") or (known.url if known else None)
    key = key or os.environ.get("LEADGER_API_KEY")
    if not key and known and url and url.rstrip("/") == known.url.rstrip("/"):
        key = known.api_key
    return Address(url, key)


@contextmanager
def signed_in(client: Client, email: str) -> Iterator[None]:
    """Do what is for people and not for keys as the person with this e-mail.

    The password is LEADGER_PASSWORD; else that of dev.env, of people whom Leadger made itself; else it is asked for.
    """
    known = _dev_env()
    made = dict(known.logins.values()) if known and client.url == known.url.rstrip("/") else {}
    password = os.environ.get("LEADGER_PASSWORD") or made.get(email)
    client.sign_in(email, password or typer.prompt(f"Password of {email}", hide_input=True, err=True))
    try:
        yield
    finally:
        client.sign_out()


def home() -> Path:
    """LEADGER_HOME; else `.leadger` here, or in the project if there is none here."""
    named = os.environ.get("LEADGER_HOME")
    if named:
        return Path(named)
    here = Path(".leadger")
    return here if here.exists() else _ROOT / ".leadger"


def _dev_env() -> DevEnv | None:
    return read_dev_env(home())


def _with_connection_options(run: Callable[..., None]) -> inspect.Signature:
    signature = inspect.signature(run)
    own = list(signature.parameters.values())[1:]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in (("url", Url), ("key", Key))
    ]
    return signature.replace(parameters=[*own, *options])
