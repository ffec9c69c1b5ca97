"""Proofs on a schedule (B10, B11): each issued bill once, and each account; then again, the oldest check first."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

import asyncpg
import msgspec

from billing.bills.states import State
from billing.bills.verify import difference_in
from db.account import conservation as account
from db.bills import conservation, records, replay
from db.bills.files import stored
from db.bills.files.formats import BillFormat
from db.ledger.policies import Policies
from db.reports.report_files import read_file

_AGAIN_AFTER = "1 day"
_GIVEN_UP_AFTER = "1 hour"
"""Whoever began a check and did not end it, was killed: others come first meanwhile."""


class Kind(StrEnum):
    """What is proven: a bill or a credit note, or the account of a partner with all its bills together."""

    BILL = "bill"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be proven now: the id of a bill or of a partner."""

    kind: Kind
    subject_id: UUID


async def expect(connection: asyncpg.Connection, bill_ids: Iterable[UUID]) -> None:
    """Have bills proven, which are issued in this transaction."""
    await connection.execute("INSERT INTO proofs (kind, subject_id) SELECT 'bill', unnest($1::uuid[])", list(bill_ids))


async def expect_accounts(connection: asyncpg.Connection) -> None:
    """Have every account proven that is not yet."""
    await connection.execute(
        """
        INSERT INTO proofs (kind, subject_id)
        SELECT 'account', id FROM partners
        WHERE EXISTS (SELECT FROM account_entries WHERE partner_id = partners.id)
            AND NOT EXISTS (SELECT FROM proofs WHERE kind = 'account' AND subject_id = partners.id)
        ON CONFLICT DO NOTHING
        """
    )


async def begin(connection: asyncpg.Connection) -> Due | None:
    """What is proven next: what never was, then what was longest ago; None if all was on this day."""
    row = await connection.fetchrow(
        f"""
        UPDATE proofs SET due_at = clock_timestamp() + interval '{_GIVEN_UP_AFTER}'
        WHERE (kind, subject_id) = (
            SELECT kind, subject_id FROM proofs WHERE due_at <= clock_timestamp() ORDER BY is_checked, due_at LIMIT 1
        ) RETURNING kind, subject_id
        """  # noqa: S608 - a constant
    )
    return Due(Kind(row["kind"]), row["subject_id"]) if row else None


async def end(connection: asyncpg.Connection, due: Due, difference: str | None) -> None:
    """Keep what a check has found."""
    await connection.execute(
        f"""
        UPDATE proofs SET is_checked = true, since = clock_timestamp(), difference = $3,
            due_at = clock_timestamp() + interval '{_AGAIN_AFTER}'
        WHERE kind = $1 AND subject_id = $2
        """,  # noqa: S608 - a constant
        due.kind,
        due.subject_id,
        difference,
    )


async def difference(connection: asyncpg.Connection, policies: Policies, due: Due) -> str | None:
    """The first difference, in words; None if it is proven. Call it in one snapshot; raises FileUnavailable."""
    if due.kind is Kind.BILL:
        return await _of_bill(connection, policies, due.subject_id)
    return await account.difference(connection, due.subject_id) or await conservation.difference_of_partner(
        connection, due.subject_id
    )


async def _of_bill(connection: asyncpg.Connection, policies: Policies, bill_id: UUID) -> str | None:
    row = await connection.fetchrow("SELECT content, issue, digest, seal FROM bills WHERE id = $1", bill_id)
    assert row is not None
    content, issue = msgspec.json.decode(row["content"]), msgspec.json.decode(row["issue"])
    wrong = difference_in({"bill": content, "issue": issue, "digest": row["digest"], "seal": row["seal"]})
    if wrong:
        return wrong.sentence("on record", "by its own figures")
    if found := await _of_file(connection, bill_id):
        return found
    bill = await records.read(connection, bill_id)
    assert bill is not None
    is_live = bill.head.state is State.ISSUED and bill.head.corrects_id is None
    found = await conservation.difference(connection, bill) if is_live else None
    return found or await replay.difference(connection, policies, bill)


async def _of_file(connection: asyncpg.Connection, bill_id: UUID) -> str | None:
    """What differs in the stored JSON file; a file that is not made yet, or was taken away, says nothing."""
    for file in await stored.read(connection, bill_id):
        if file.format is BillFormat.JSON:
            try:
                text = b"".join(read_file(file.url))
            except FileNotFoundError:
                return None
            if sha256(text).hexdigest() != file.sha256:
                return "the stored JSON file is not the one that was made"
    return None
