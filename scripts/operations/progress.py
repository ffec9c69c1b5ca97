"""How a long operation shows what it works on."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Is called with one short line for the person who waits: the table, the file, a line of a log."""
