"""`leadger audit`, as a person types it."""

import json
from uuid import uuid4

from typer.testing import CliRunner

from scripts.cli.app import app
from scripts.client import Client
from tests.stack import Stack


def test_an_admin_sees_who_changed_what(stack: Stack) -> None:
    name = f"audited-{uuid4().hex[:8]}"
    with Client(stack.url, stack.key) as client:
        client.post("/api/partners", {"external_id": name, "name": "Acme"})
        made = client.get("/api/audit", what="partner.created", limit=1)["items"][0]
    words = ["audit", "--what", "partner.created", "--from", made["at"], "--limit", "1"]
    shown = CliRunner().invoke(app, [*words, "--json"], env=stack.env)
    assert json.loads(shown.stdout) == [made]
    assert made["after"] == {"external_id": name, "name": "Acme"}
    table = CliRunner().invoke(app, words, env=stack.env)
    assert table.exit_code == 0
    assert "partner.created" in table.stdout
    none = CliRunner().invoke(app, ["audit", "--who", "nobody"], env=stack.env)
    assert (none.exit_code, "There are no such lines." in none.stdout + none.stderr) == (0, True)
