from pathlib import Path

import pytest

from scripts.local.launcher.watch import CodeWatch


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("api/pages", "billing", "db", "worker/__pycache__", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr("scripts.local.launcher.watch.ROOT", tmp_path)
    return tmp_path


def test_a_file_that_is_added_written_or_removed_is_a_change_once(root: Path) -> None:
    (root / "db" / "old.py").touch()
    code = CodeWatch()
    assert code.changed() == []
    (root / "api" / "pages" / "new.html").touch()
    (root / "db" / "old.py").write_text("pass")
    assert code.changed() == [Path("api/pages/new.html"), Path("db/old.py")]
    assert code.changed() == []
    (root / "db" / "old.py").unlink()
    assert code.changed() == [Path("db/old.py")]


def test_what_is_not_run_is_no_change(root: Path) -> None:
    code = CodeWatch()
    (root / "worker" / "__pycache__" / "app.pyc").touch()
    (root / "tests" / "test_new.py").touch()
    assert code.changed() == []
