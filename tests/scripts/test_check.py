"""scripts/check: its step that no other tool has."""

import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("pyproject.toml", '"structlog>=26.1",', '"structlog>=26.1",', ""),
        ("pyproject.toml", '"structlog>=26.1",', '"structlog>=99.1",', "leadger depends on structlog>=99.1"),
        ("pyproject.toml", '"structlog>=26.1",', '"structlog>=26.1", "leadgerless",', "leadgerless was not found"),
        ("requirements.lock", "structlog==", "structlag==", "no trusted hash was provided for: `structlog`"),
    ],
)
def test_a_lock_file_that_is_behind_is_seen(tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(_ROOT / name, tmp_path)
    (tmp_path / ".venv").symlink_to(_ROOT / ".venv")
    text = (tmp_path / file).read_text()
    assert text.count(old) == 1
    (tmp_path / file).write_text(text.replace(old, new))
    lines = (_ROOT / "scripts/check").read_text().splitlines()
    (step,) = [line for line in lines if line.startswith('step "lock file"')]
    program = f'bin=.venv/bin; step() {{ shift; "$@"; }}; {step}'
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is (said == ""), done.stderr
    assert said in " ".join(done.stderr.split())
