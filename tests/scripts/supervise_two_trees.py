"""A supervisor to be killed: python -m tests.scripts.supervise_two_trees HOME."""

import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from scripts.local.launcher.leftovers import mark
from scripts.local.launcher.supervisor import Supervisor
from tests.scripts.processes import tree

if __name__ == "__main__":
    home = Path(sys.argv[1])
    with Supervisor(home, Console()) as supervisor:
        for name in ("one", "two"):
            supervisor.start(name, replace(tree(home / name), env=mark(home)))
        supervisor.wait()
