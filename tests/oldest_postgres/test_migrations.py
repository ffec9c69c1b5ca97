"""The migrations, on the oldest Postgres."""

import pytest

from tests.db.core import test_migrations as on_the_newest
from tests.db.core.test_migrations import (
    empty,
    test_migrating_twice_changes_nothing,
    test_the_models_equal_the_result_of_the_migrations,
)

__all__ = ["empty", "test_migrating_twice_changes_nothing", "test_the_models_equal_the_result_of_the_migrations"]


@pytest.mark.slow
def test_every_migration_goes_down_and_up_again(empty: str) -> None:
    on_the_newest.test_every_migration_goes_down_and_up_again(empty)
