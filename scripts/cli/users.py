"""`leadger users`: the people who sign in: made, invited, listed, given roles."""

import secrets
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from scripts.cli.connection import api_command
from scripts.client import Client, ClientError
from scripts.console import Json, Limit, add_row, console, moment, new_table, note, print_json, print_list, some_pages
from scripts.errors import CannotStart

users = typer.Typer(help="People: make, invite and list them, and say who may do what.", no_args_is_help=True)

ROLES = ("admin", "finance", "customer_success", "sales", "partner")  # written here, because help must not load `db`

User = Annotated[str, typer.Argument(metavar="USER", help="The person's e-mail or id.")]
Name = Annotated[str, typer.Argument(help="The person's name.")]
Email = Annotated[str, typer.Argument(help="The person's e-mail, with which to sign in.")]
RoleOption = Annotated[str, typer.Option("--role", metavar="ROLE", help=f"{', '.join(ROLES)}.")]
Partner = Annotated[str | None, typer.Option(help="With the role partner: to which one the person is bound.")]


@users.command("create")
@api_command
def create(
    client: Client,
    name: Name,
    email: Email,
    role: RoleOption,
    partner: Partner = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of making one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a person with a role. A password is made and printed once: hand it over, the person can change it."""
    wanted = _role(role, partner)
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(18)
    made = client.post("/api/users", {"name": name, "email": email, "password": password}, repeatable=False)
    made = client.patch(f"/api/users/{made['user_id']}", wanted)
    secret = {} if password_stdin else {"password": password}
    _print_secret(made | secret, f"{made['email']} may sign in as {role}.", "password", as_json)


@users.command("invite")
@api_command
def invite(
    client: Client, name: Name, email: Email, role: RoleOption, partner: Partner = None, as_json: Json = False
) -> None:
    """Make a person with a role, and print the link by which they choose a password, once, within seven days."""
    made = client.post("/api/users/invite", {"name": name, "email": email} | _role(role, partner), repeatable=False)
    _print_secret(made, f"Hand this link to {made['email']}; it is shown only now.", "url", as_json)


@users.command("list")
@api_command
def list_users(
    client: Client,
    role: Annotated[str | None, typer.Option(help=f"{', '.join(ROLES)}; none: those who wait for one.")] = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Who may sign in, or may not.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List people, the newest first."""
    items, more = some_pages(client, "/api/users", limit, role=role, active=active)
    table = new_table(("User id", "Name", "E-mail", "Role", "Partner", "Active", "Made"), unbroken=["User id"])
    for each in items:
        made = moment(each["created_at"])
        add_row(
            table, each["user_id"], each["name"], each["email"], each["role"], each["partner"], each["active"], made
        )
    print_list(items, more, table, "There is nobody.", as_json=as_json)


@users.command("show")
@api_command
def show(client: Client, user: User, as_json: Json = False) -> None:
    """Show one person."""
    _print(_find(client, user), as_json)


@users.command("role")
@api_command
def give_role(
    client: Client,
    user: User,
    role: Annotated[str, typer.Argument(metavar="ROLE", help=f"{', '.join(ROLES)}; none takes it away.")],
    partner: Partner = None,
    as_json: Json = False,
) -> None:
    """Give a person another role; their sessions end, and with the next sign-in it counts."""
    wanted = {"role": None} if role == "none" else _role(role, partner)
    _print(_change(client, user, wanted), as_json)


@users.command("deactivate")
@api_command
def deactivate(client: Client, user: User, as_json: Json = False) -> None:
    """Keep a person from signing in; within two seconds their sessions end. What they did stands."""
    _print(_change(client, user, {"active": False}), as_json)


@users.command("activate")
@api_command
def activate(client: Client, user: User, as_json: Json = False) -> None:
    """Let a person who was deactivated sign in again."""
    _print(_change(client, user, {"active": True}), as_json)


@users.command("reset")
@api_command
def reset(client: Client, user: User, as_json: Json = False) -> None:
    """Print a link by which a person sets another password, once, within seven days."""
    found = _find(client, user)
    made = client.post(f"/api/users/{found['user_id']}/reset", repeatable=False)
    _print_secret(made, f"Hand this link to {found['email']}; it is shown only now.", "url", as_json)


def _role(role: str, partner: str | None) -> dict[str, Any]:
    if role not in ROLES:
        raise CannotStart(f"There is no role {role!r}; there are {', '.join(ROLES)}.")
    return {"role": role} | ({"partner": partner} if partner else {})


def _find(client: Client, user: str) -> dict[str, Any]:
    """A person by e-mail or id."""
    if "@" not in user:
        found: dict[str, Any] = client.get(f"/api/users/{quote(user, safe='')}")
        return found
    items = client.get("/api/users", email=user)["items"]
    if not items:
        raise ClientError(f"There is no person with the e-mail {user}.")
    return dict(items[0])


def _change(client: Client, user: str, wanted: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = client.patch(f"/api/users/{_find(client, user)['user_id']}", wanted)
    return changed


def _print(user: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(user)
        return
    table = new_table(("What", "Value"), unbroken=["Value"])
    for name, value in user.items():
        add_row(table, name.replace("_", " "), moment(value) if name == "created_at" else value)
    console().print(table)


def _print_secret(made: dict[str, Any], text: str, secret: str, as_json: bool) -> None:
    """The secret goes to standard output, so that it can be handed on; everything else to standard error."""
    if as_json:
        print_json(made)
        return
    note(text)
    if secret in made:
        console().print(made[secret], soft_wrap=True)
