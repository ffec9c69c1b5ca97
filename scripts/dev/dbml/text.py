"""How DBML writes things down."""

from collections.abc import Iterable, Sequence


def block(head: str, lines: Iterable[str]) -> str:
    """A head with its lines in braces."""
    return "\n".join([f"{head} {{", *(f"  {line}".rstrip() for line in lines), "}"])


def quoted(text: str) -> str:
    """A text of one line."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def in_brackets(settings: Sequence[str]) -> str:
    """Settings behind what they are about; nothing if there are none."""
    return f" [{', '.join(settings)}]" if settings else ""


def names(columns: Sequence[str]) -> str:
    """One column, or several in parentheses."""
    return columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
