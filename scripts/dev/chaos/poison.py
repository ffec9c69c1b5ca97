"""Where the fault and the worker that it poisons agree on the lead."""

from pathlib import Path


def marker(home: Path) -> Path:
    """The file that names the lead that cannot be decided; without it every lead can."""
    return home / "poisoned-lead"
