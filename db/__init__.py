"""All that speaks to Postgres and Redis: tables, queries, locks, settings, logging, notifications."""
