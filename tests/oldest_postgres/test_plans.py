"""Every statement of API, worker, sweeper and readers, on the oldest Postgres: that it runs, and what it reads."""

from tests.scripts.dev.test_bench_plans import (
    place,
    test_an_index_in_another_order_is_found,
    test_every_statement_on_the_way_of_a_lead_is_looked_at,
)

__all__ = [
    "place",
    "test_an_index_in_another_order_is_found",
    "test_every_statement_on_the_way_of_a_lead_is_looked_at",
]
