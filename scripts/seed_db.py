"""`python scripts/seed_db.py --leads 1000`: `leadger seed --leads 1000` with any Python, from any folder."""

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_OWN_PYTHON = _ROOT / ".venv" / "bin" / "python"

if __name__ == "__main__":
    # The libraries are in the project's own environment; the folder that the person is in stays the current one.
    python = str(_OWN_PYTHON if _OWN_PYTHON.exists() else sys.executable)
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    sys.stdout.flush()
    os.execve(python, [python, "-m", "scripts.cli", "seed", *sys.argv[1:]], os.environ | {"PYTHONPATH": path})  # noqa: S606  # our own program, no shell
