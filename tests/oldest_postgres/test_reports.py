"""Reports, live and written, on the oldest Postgres."""

from tests.api.routes.test_reports import *  # noqa: F403 - its tests
