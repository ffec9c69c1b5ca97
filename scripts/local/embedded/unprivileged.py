"""PostgreSQL refuses to run as root and as a user without a name; this finds a way to run it that touches nothing."""

import os
import pwd
import subprocess
from pathlib import Path

from scripts.errors import CannotStart

_NOBODY = 65534
_SEEMING = (1000, 1, _NOBODY)
"""Users whom a process can believe to be, the first one that this system has a name for."""


def unprivileged(program: Path, data_dir: Path) -> tuple[str, ...]:
    """The words to put before a command so that it runs unprivileged, may run `program` and owns `data_dir`.

    Empty for an ordinary user. As root the first of these that works here is taken; a user without a name, as some
    containers have, takes the first one:

    - `unshare`: the process believes to be another user and owns what we own. Nothing on disk is changed.
    - `setpriv`: the owner of the data, or nobody; it keeps the one right to reach files in closed folders (a
      home folder of root's, say), so neither the programs nor the folders above the data need to be opened.
      PostgreSQL looks for its programs by access(2), where that right counts only with `no_setuid_fixup`.

    Raises CannotStart if neither is possible here.
    """
    us = os.geteuid()
    if us != 0 and _has_name(us):
        return ()
    seeming = next(filter(_has_name, _SEEMING), _NOBODY)
    candidates: list[tuple[str, ...]] = [("unshare", "--user", f"--map-user={seeming}", f"--map-group={seeming}", "--")]
    if us == 0:
        candidates.append(_setpriv(_owner(data_dir)))
    for prefix in candidates:
        if _works(prefix, program, data_dir):
            return prefix
    if us != 0:
        raise CannotStart(
            f"PostgreSQL needs a user with a name, user {us} has none, and this system allows no user namespaces: run "
            "Leadger as a user whom /etc/passwd names, or set DATABASE_URL."
        )
    raise CannotStart(
        "PostgreSQL does not run as root, and this system allows no user namespaces and no other users: run "
        f"Leadger as an ordinary user who may write to {data_dir.parent}, or set DATABASE_URL."
    )


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


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
