"""`python -m worker.command worker.app worker …` or `… beat …`: two commands of Celery, with their options.

Celery's own command line imports all its commands first, and every plugin that is installed: with Flower's web server a
worker takes much longer until it is at work, which a run pays for whose worker was killed.
"""

import gc
import sys

from celery.app.utils import find_app
from celery.bin.base import CLIContext
from celery.bin.beat import beat
from celery.bin.worker import worker

_COMMANDS = {"worker": worker, "beat": beat}


def main(app: str, command: str, *options: str) -> None:
    """Run a command for the application of a module; the variables of its options begin as Celery's do."""
    gc.disable()  # a seventh of a start would be searches among what is imported; whoever runs tunes and enables it
    context = CLIContext(find_app(app), no_color=False, workdir=None, quiet=True)
    _COMMANDS[command].main(options, prog_name=command, obj=context, auto_envvar_prefix=f"CELERY_{command.upper()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
