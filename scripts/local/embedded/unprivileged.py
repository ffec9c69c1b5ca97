"""PostgreSQL refuses to run as root; this finds a way to run it with fewer rights that touches nothing."""

import os
import subprocess
from pathlib import Path

from scripts.errors import CannotStart

_NOBODY = 65534


def unprivileged(program: Path, data_dir: Path) -> tuple[str, ...]:
    """The words to put before a command so that it runs unprivileged, may run `program` and owns `data_dir`.

    Empty unless we are root. As root the first of these that works here is taken:

    - `unshare`: the process believes to be user 1000 and owns what root owns. Nothing on disk is changed.
    - `setpriv`: the owner of the data, or nobody; it keeps the one right to reach files in closed folders (a
      home folder of root's, say), so neither the programs nor the folders above the data need to be opened.
      PostgreSQL looks for its programs by access(2), where that right counts only with `no_setuid_fixup`.

    Raises CannotStart if neither is possible here.
    """
    if os.geteuid() != 0:
        return ()
    candidates = (
        ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--"),
        _setpriv(_owner(data_dir)),
    )
    for prefix in candidates:
        if _works(prefix, program, data_dir):
            return prefix
    raise CannotStart(
        "PostgreSQL does not run as root, and this system allows no user namespaces and no other users: run "
        f"Leadger as an ordinary user who may write to {data_dir.parent}, or set DATABASE_URL."
    )


def _setpriv(uid: int) -> tuple[str, ...]:
    rights = "-all,+dac_override"
    return (
        *("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--pdeathsig=KILL"),
        *(
            "--securebits=+no_setuid_fixup",
            f"--inh-caps={rights}",
            f"--ambient-caps={rights}",
            f"--bounding-set={rights}",
            "--",
        ),
    )


def _owner(data_dir: Path) -> int:
    uid = data_dir.stat().st_uid if data_dir.exists() else 0
    return uid or _NOBODY


def _works(prefix: tuple[str, ...], program: Path, data_dir: Path) -> bool:
    question = f'{"test -O" if data_dir.exists() else "test -w"} "$0" && "$1" --version'
    asked = data_dir if data_dir.exists() else data_dir.parent
    try:
        answer = subprocess.run([*prefix, "sh", "-c", question, asked, program], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return answer.returncode == 0
