"""`python -m scripts.cli` is `leadger`."""

from scripts.cli.app import app

app(prog_name="leadger")
