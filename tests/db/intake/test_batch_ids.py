"""Ids of batches are nobody else's, and rise with time."""

import time

from db.intake.batch_ids import new_batch_id


def test_batch_ids_are_uuids_of_version_7_and_all_different() -> None:
    made = [new_batch_id() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}


def test_batch_ids_rise_with_time_and_tell_their_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    first = new_batch_id()
    time.sleep(0.002)
    second = new_batch_id()
    assert first < second
    assert before <= first.int >> 80 < second.int >> 80 <= time.time_ns() // 1_000_000
