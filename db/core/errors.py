"""Errors by their cause, for the API and the workers alike.

what went wrong         what the API answers            what a worker does
----------------------  ------------------------------  ---------------------------------------------------
DATABASE_UNAVAILABLE    503, try again soon             tries again later; no lead is to blame
FileUnavailable         503, try again soon             tries again later
BillingError            400 or 409 with its message     ends the task with its message (`billing.errors`)
anything else           500, logged and counted         isolates the lead or fails the task, logged and counted
"""

import ssl

import asyncpg


class FileUnavailable(Exception):
    """A report file or its folder cannot be read or written just now; the message is for a person."""


DATABASE_UNAVAILABLE = (
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    ssl.SSLError,
    TimeoutError,
)
"""What a Postgres that is away, stopping, starting, full or too busy raises.

A connection that breaks in the middle of a statement can leave asyncpg in a state that it calls an internal error.
`db.core.engine` raises ConnectionError when connecting fails, so the OSError of a file is never one of these.
"""

TRANSIENT = (*DATABASE_UNAVAILABLE, FileUnavailable)
"""Faults of the environment: no lead and no request is to blame, and trying again helps."""
