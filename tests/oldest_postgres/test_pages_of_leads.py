"""What a page of leads and of a report's customers reads, on the oldest Postgres."""

from tests.db.conftest import world
from tests.db.reports.test_pages_of_leads import (
    few_are_searched,
    stored,
    test_a_deep_page_reads_no_more_than_the_first,
    test_a_page_of_a_report_begins_where_the_one_before_ended,
    test_many_old_leads_are_found_without_reading_newer_ones_of_others,
)

__all__ = [
    "few_are_searched",
    "stored",
    "test_a_deep_page_reads_no_more_than_the_first",
    "test_a_page_of_a_report_begins_where_the_one_before_ended",
    "test_many_old_leads_are_found_without_reading_newer_ones_of_others",
    "world",
]
