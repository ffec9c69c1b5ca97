"""The help of every command ends with an example that the command takes."""

import shlex
from collections.abc import Iterator
from typing import Any

import typer

from scripts.cli.app import app
from scripts.cli.examples import EXAMPLES


def _commands(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield " ".join(words), command
    else:
        for name, each in command.commands.items():
            yield from _commands(each, *words, name)


def test_every_command_has_an_example_that_it_takes() -> None:
    commands = dict(_commands(typer.main.get_command(app)))
    assert EXAMPLES.keys() == commands.keys()
    for words, command in commands.items():
        command.make_context(words, shlex.split(EXAMPLES[words]))
        assert f"leadger {words}" in command.epilog
