"""When a message is tried again, how long a webhook rests, and when it is disabled."""

from datetime import UTC, datetime, timedelta

from billing.webhooks.schedule import is_disabled, next_attempt, rest

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def test_the_retries_are_those_of_the_documentation() -> None:
    waits: list[timedelta] = []
    while (at := next_attempt(len(waits) + 1, NOW)) is not None:
        waits.append(at - NOW)
    s, m, h = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
    assert waits == [5 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h]
    assert next_attempt(10, NOW) is None


def test_a_webhook_rests_longer_the_more_fails_in_a_row_up_to_a_minute() -> None:
    assert [rest(failures).total_seconds() for failures in (0, 1, 2, 3, 5, 6, 7, 10_000)] == [
        0,
        0,
        4,
        8,
        32,
        60,
        60,
        60,
    ]


def test_a_webhook_is_disabled_after_five_days() -> None:
    assert not is_disabled(NOW, NOW + timedelta(days=5, microseconds=-1))
    assert is_disabled(NOW, NOW + timedelta(days=5))
