"""What `leadger doctor` finds."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one part, and how to fix it or to know more."""

    part: str
    state: State
    detail: str
    fix: str = ""

    @property
    def usable(self) -> bool:
        """Whether the part works, perhaps not well."""
        return self.state in (State.OK, State.WARNING)


@dataclass(frozen=True, slots=True)
class Examined:
    """Where the parts are; None is what nobody named."""

    url: str | None
    api_key: str | None
    home: Path
    database_url: str | None = None
    redis_url: str | None = None


def fine(part: str, detail: str) -> Finding:
    """It works."""
    return Finding(part, State.OK, detail)


def warning(part: str, detail: str, fix: str) -> Finding:
    """It works, not well."""
    return Finding(part, State.WARNING, detail, fix)


def broken(part: str, detail: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(part, State.BROKEN, detail, fix)


def unknown(part: str, detail: str, fix: str) -> Finding:
    """It cannot be seen from here."""
    return Finding(part, State.UNKNOWN, detail, fix)
