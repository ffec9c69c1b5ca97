"""How the fault names the lead that the worker fails on."""

from pathlib import Path


def marker(home: Path) -> Path:
    """The file that names the lead that cannot be decided; without it every lead can."""
    return home / "poisoned-lead"
