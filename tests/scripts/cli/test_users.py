"""`leadger users`, as a person types it."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
from typer.testing import CliRunner, Result

from scripts.cli.app import app
from tests.stack import Stack


def leadger(stack: Stack, *words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["users", *words], env=stack.env, input=typed)


def as_json(stack: Stack, *words: str) -> Any:
    done = leadger(stack, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def sign_in(stack: Stack, email: str, password: str) -> httpx.Response:
    return httpx.post(f"{stack.url}/api/session", json={"email": email, "password": password})


def test_people_are_made_shown_changed_and_let_out(stack: Stack) -> None:
    email = f"ann-{uuid4().hex[:8]}@example.com"
    made = leadger(stack, "create", "Ann", email, "--role", "finance")
    assert (made.exit_code, made.stderr) == (0, f"{email} may sign in as finance.\n")
    password = made.stdout.strip()
    assert sign_in(stack, email, password).json()["user"]["role"] == "finance"
    shown = as_json(stack, "show", email)
    assert as_json(stack, "show", shown["user_id"]) == shown
    assert email in leadger(stack, "show", email).stdout
    assert shown in as_json(stack, "list", "--role", "finance", "--limit", "0")
    assert email in leadger(stack, "list", "--limit", "0").stdout
    assert as_json(stack, "role", email, "none")["role"] is None
    assert as_json(stack, "role", email, "sales") == shown | {"role": "sales"}
    link = leadger(stack, "reset", email).stdout.strip()
    token = parse_qs(urlsplit(link).query)["token"][0]
    reset = {"token": token, "password": "four words of no meaning"}
    assert httpx.post(f"{stack.url}/api/password/reset", json=reset).status_code == 204
    assert sign_in(stack, email, password).status_code == 401
    assert as_json(stack, "deactivate", email)["active"] is False
    assert sign_in(stack, email, "four words of no meaning").status_code == 401
    assert as_json(stack, "activate", email)["active"] is True
    assert sign_in(stack, email, "four words of no meaning").status_code == 201


def test_a_password_can_be_piped_in_and_an_invitation_is_a_link(stack: Stack) -> None:
    name = uuid4().hex[:8]
    words = ("create", "Pip", f"pip-{name}@example.com", "--role", "admin", "--password-stdin")
    piped = leadger(stack, *words, typed="four words of no meaning\n")
    assert (piped.exit_code, piped.stdout) == (0, "")
    assert sign_in(stack, f"pip-{name}@example.com", "four words of no meaning").status_code == 201
    invited = as_json(stack, "invite", "Ina", f"ina-{name}@example.com", "--role", "sales")
    assert (invited["role"], invited["has_password"]) == ("sales", False)
    assert "/password?token=" in invited["url"]


def test_what_cannot_be_done_is_one_message(stack: Stack) -> None:
    for words, said in (
        (("create", "X", "x@example.com", "--role", "boss"), "There is no role 'boss'; there are admin, finance,"),
        (("show", "nobody@example.com"), "There is no person with the e-mail nobody@example.com."),
        (("show", str(uuid4())), "There is no person "),
        (("invite", "X", "x@example.com", "--role", "partner"), "A person with the role partner is bound to a partner"),
    ):
        done = leadger(stack, *words)
        assert done.exit_code == 1
        assert done.stderr.startswith(f"leadger: {said}")
        assert done.stderr.count("\n") == 1


def test_samples_make_people_in_a_database_of_the_operators_own_only_if_asked(stack: Stack) -> None:
    """The stack has no dev.env with an Admin of Leadger's own making."""

    def samples(*words: str) -> list[str]:
        done = CliRunner().invoke(app, ["samples", *words], env=stack.env)
        assert done.exit_code == 0, done.output
        return [line for line in done.stderr.splitlines() if "@leadger.example" in line]

    assert samples() == []
    made = samples("--people")
    assert [line.partition(":")[0] for line in made] == ["finance", "customer_success", "sales", "partner"]
    email, password = made[3].removeprefix("partner: ").removesuffix(" (shown only now)").split(", ")
    assert sign_in(stack, email, password).json()["user"]["partner"] == "acme"
    assert samples("--people") == []
