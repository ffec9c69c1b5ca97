"""Settings that are more than a number or a text, read from the environment as a person writes them."""

import pytest
from pydantic import ValidationError

from db.core.settings import Settings


@pytest.mark.parametrize(
    ("written", "days"), [(None, (3, 14, 30)), ("7", (7,)), ("14, 3", (14, 3)), ("", ()), (" , ", ())]
)
def test_the_days_of_reminders(monkeypatch: pytest.MonkeyPatch, written: str | None, days: tuple[int, ...]) -> None:
    if written is not None:
        monkeypatch.setenv("LEADGER_REMINDER_DAYS", written)
    assert Settings(database_url="postgresql://unused", redis_url="redis://unused").reminder_days == days


@pytest.mark.parametrize("written", ["0", "-3", "3651", "3;14", "a week", "1.5"])
def test_what_is_no_day_is_refused(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("LEADGER_REMINDER_DAYS", written)
    with pytest.raises(ValidationError):
        Settings(database_url="postgresql://unused", redis_url="redis://unused")
