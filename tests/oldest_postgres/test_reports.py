"""Reports, live and written, on the oldest Postgres."""

from tests.api.test_reports import *  # noqa: F403 - its tests
