"""The migrations, on the oldest Postgres."""

from tests.db.core.test_migrations import (
    empty,
    test_every_migration_goes_down_and_up_again,
    test_migrating_twice_changes_nothing,
    test_the_models_equal_the_result_of_the_migrations,
)

__all__ = [
    "empty",
    "test_every_migration_goes_down_and_up_again",
    "test_migrating_twice_changes_nothing",
    "test_the_models_equal_the_result_of_the_migrations",
]
