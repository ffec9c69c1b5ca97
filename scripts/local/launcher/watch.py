"""Notices that the code has changed, for `--reload`."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
_FOLDERS = ("api", "billing", "db", "worker")


class CodeWatch:
    """Compares the times of all files of the code, pages included, each time it is asked."""

    def __init__(self) -> None:
        self._seen = _modified()

    def changed(self) -> list[Path]:
        """The files that were written, added or removed since the last call."""
        before, self._seen = self._seen, _modified()
        return sorted(path for path in before.keys() | self._seen.keys() if before.get(path) != self._seen.get(path))


def _modified() -> dict[Path, int]:
    times = {}
    for folder in _FOLDERS:
        for path in (ROOT / folder).rglob("*.*"):
            if "__pycache__" not in path.parts:
                try:
                    times[path.relative_to(ROOT)] = path.stat().st_mtime_ns
                except FileNotFoundError:
                    continue
    return times
