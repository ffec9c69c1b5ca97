"""Who may look at Flower: one login per home, made once and kept in a file of its owner's, never in a log."""

import secrets
import sys
from pathlib import Path


def flower_login(home: Path) -> str:
    """`user:password`, in the home's file `flower-password` from the first call on."""
    file = home / "flower-password"
    if not file.exists():
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(f"leadger:{secrets.token_urlsafe(18)}\n")
        new.replace(file)
    return file.read_text().strip()


if __name__ == "__main__":
    print(flower_login(Path(sys.argv[1])))
