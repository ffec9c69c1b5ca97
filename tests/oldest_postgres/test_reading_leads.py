"""The pages of leads, on the oldest Postgres."""

from tests.api.routes.test_reading_leads import *  # noqa: F403 - its tests
