"""Closing, reopening, holding and returning through the API, on the oldest Postgres."""

from tests.api.routes.test_periods import *  # noqa: F403 - its tests
