"""Errors by their cause, for the API and the workers alike.

what went wrong         what the API answers            what a worker does
----------------------  ------------------------------  ---------------------------------------------------
DATABASE_UNAVAILABLE    503, try again soon             tries again later; no lead is to blame
UNFIT_DATABASE          503, try again soon, logged     tries again later, logged and counted; no lead is to blame
FileUnavailable         503, try again soon             tries again later
BeingReevaluated        503, try again soon             is not raised there
InvalidValue            400 with its message            ends the task with its message (`billing.errors`)
RuleViolation           409 with its message            ends the task with its message (`billing.errors`)
TooManyWaiting          429 with its message            is not raised there
Paused                  is not raised there             leaves it to the next sweep; no attempt counts
SubtaskFailed           is not raised there             ends the task with the message of its subtask, counted once
BatchTooLarge           is not raised there             decides half of the leads
anything else           500, logged and counted         isolates the lead, if it may be its fault, or fails the task;
                                                        logged and counted

`UnpricedAction`, a damaged rate card, is one of the last kind.
"""

import ssl

import asyncpg
from sqlalchemy.exc import SQLAlchemyError


class FileUnavailable(Exception):
    """A report file or its folder cannot be read or written just now; the message is for a person."""


class MailUnavailable(Exception):
    """A mail cannot be handed over just now; the message names nobody."""


class BeingReevaluated(Exception):
    """A customer's verdicts follow older terms or rates, and are too many for a request; a background task is at it."""

    def __init__(self) -> None:
        super().__init__("The customer's actions are being judged by new terms or rates just now; try again soon.")


class BatchTooLarge(Exception):
    """A worker batch would judge too many actions again; half of its leads may not."""


class UnusableDatabase(ConnectionError):
    """A database that can be reached and must not be used as it is; the message is one sentence."""


OUTDATED_CONNECTION = (
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.InvalidCachedStatementError,
    asyncpg.exceptions.UndefinedColumnError,
    asyncpg.OutdatedSchemaCacheError,
)
"""What a connection raises that was good once: its server became read-only in a failover, or its plans are older than
the schema. The same statement works on a new connection as soon as the server is as it should be.

A column that is missing for good is code before its migration; that is a fault of the environment as well.
"""

UNFIT_DATABASE = (
    asyncpg.exceptions.UndefinedTableError,
    asyncpg.exceptions.UndefinedColumnError,
    asyncpg.exceptions.UndefinedFunctionError,
    asyncpg.exceptions.UndefinedObjectError,
    asyncpg.exceptions.WrongObjectTypeError,
    asyncpg.exceptions.InsufficientPrivilegeError,
    asyncpg.exceptions.InvalidSchemaNameError,
    asyncpg.exceptions.InvalidCatalogNameError,
    asyncpg.exceptions.InvalidAuthorizationSpecificationError,
    asyncpg.exceptions.PostgresSystemError,
    asyncpg.exceptions.InternalServerError,
)
"""What Postgres raises where tables, columns, functions, rights, passwords or files are not as a Leadger needs them.

Somebody may be restoring or changing them, so trying again is right; it may also be an error of ours for good.
"""

CANNOT_WRITE = (asyncpg.exceptions.ReadOnlySQLTransactionError, asyncpg.exceptions.DiskFullError)
"""What a server raises that answers questions and writes nothing."""

TIMED_OUT = (TimeoutError, asyncpg.exceptions.QueryCanceledError)
"""A statement that took too long: for the moment, or because of what it is about."""

DATABASE_UNAVAILABLE = (
    *OUTDATED_CONNECTION,
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


def unavailable_because(error: BaseException) -> str:
    """Why Postgres cannot do what was asked, for whoever asked: "The database …" without a full stop."""
    match error:
        case asyncpg.exceptions.ReadOnlySQLTransactionError():
            return "The database takes no writes just now"
        case UnusableDatabase():
            return str(error)
        case asyncpg.exceptions.DiskFullError():
            return "The disk of the database is full"
        case asyncpg.exceptions.LockNotAvailableError():
            return "The same is being changed by others just now"
        case _ if isinstance(error, OUTDATED_CONNECTION):
            return "The tables of the database are being changed just now"
        case _ if isinstance(error, UNFIT_DATABASE):
            return "The database is not as it should be just now"
    return "The database cannot be reached just now"


DATABASE_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError)
"""Whatever a database that is away, refuses or is no Leadger's makes a command fail with."""

TRANSIENT = (*DATABASE_UNAVAILABLE, FileUnavailable, MailUnavailable)
"""Faults of the environment: no lead and no request is to blame, and trying again helps."""

_CAUSED_BY_DATA = (
    asyncpg.exceptions.DataError,
    asyncpg.exceptions.IntegrityConstraintViolationError,
    asyncpg.exceptions.ProgramLimitExceededError,
)


def is_fault_of_data(error: BaseException) -> bool:
    """Whether what a batch holds may have caused an error; else every other batch would fail alike.

    Of what Postgres answers only few kinds are about data: a missing table, right or function is none of them.
    """
    if isinstance(error, _CAUSED_BY_DATA):
        return True
    return isinstance(error, Exception) and not isinstance(
        error, (*TRANSIENT, asyncpg.PostgresError, OSError, MemoryError, BatchTooLarge)
    )
