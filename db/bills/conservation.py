"""Conservation (B10): what bills ask for is what the ledger of leads says."""

from collections.abc import Iterable, Mapping
from uuid import UUID

import asyncpg

from billing.bills.conservation import Ledger, Sums, difference_to_ledger
from billing.bills.values import Line
from billing.errors import RuleViolation
from billing.identity import report_uuid
from billing.money import amount_from_minor
from billing.periods import name_of_period
from db.bills import records
from db.bills.records import Bill


class NotConserved(RuleViolation):
    """A bill that does not say what the ledger says; the message has the figure and both sums."""


async def check(connection: asyncpg.Connection, bill: Bill) -> None:
    """Raise NotConserved if a bill has other sums of leads or credits than the closed period; a note has none."""
    if bill.head.corrects_id is None and (found := await difference(connection, bill)):
        raise NotConserved(f"{found} Rebuild {name_of_period(bill.head.period)}, then refresh the bill.")


async def difference(connection: asyncpg.Connection, bill: Bill) -> str | None:
    """How a bill differs from the final report of its period, in one sentence; None if it does not."""
    partner_id = bill.head.partner_id
    return (await differences(connection, {partner_id: bill.content.lines}, bill.head.period))[partner_id]


async def differences(
    connection: asyncpg.Connection, lines: Mapping[UUID, Iterable[Line]], period: int
) -> dict[UUID, str | None]:
    """The same of the bills of one period, given by partner with their lines."""
    reports = {report_uuid(partner_id, period): partner_id for partner_id in lines}
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (report_id) report_id, billed_minor, credited_minor FROM billing_reports
        WHERE report_id = ANY($1::uuid[]) AND final ORDER BY report_id, version DESC
        """,
        list(reports),
    )
    ledgers = {reports[row["report_id"]]: Ledger(row["billed_minor"], row["credited_minor"]) for row in rows}
    return {of: difference_to_ledger(each, ledgers.get(of, Ledger(0, 0))) for of, each in lines.items()}


async def difference_of_period(connection: asyncpg.Connection, partner_id: UUID, period: int) -> str | None:
    """The same for the live bill of a period; None without one."""
    live = await records.live_of(connection, partner_id, period)
    bill = await records.read(connection, live) if live else None
    return await difference(connection, bill) if bill else None


async def difference_of_partner(connection: asyncpg.Connection, partner_id: UUID) -> str | None:
    """How all issued bills of a partner, less their notes, differ from what was billed, used and agreed."""
    sums = Sums(**await _sums(connection, partner_id))
    if not sums.difference_minor:
        return None
    asked, right = amount_from_minor(sums.net_minor), amount_from_minor(sums.net_minor - sums.difference_minor)
    return f"the issued bills less their notes ask for {asked} before tax, and leads, usage and adjustments for {right}"


async def _sums(connection: asyncpg.Connection, partner_id: UUID) -> asyncpg.Record:
    """The sums over the periods with an issued bill, each from where it was entered; overage from the bills."""
    row = await connection.fetchrow(
        """
        WITH issued AS (
            SELECT id, period, net_minor, content FROM bills
            WHERE partner_id = $1 AND corrects_id IS NULL AND state = 'issued'
        ), noted AS (
            SELECT coalesce(sum(net_minor), 0) AS minor FROM bills
            WHERE state = 'issued' AND corrects_id IN (SELECT id FROM issued)
        )
        SELECT ((SELECT coalesce(sum(net_minor), 0) FROM issued) - noted.minor)::bigint AS net_minor,
            (SELECT coalesce(sum(billed_minor), 0)::bigint FROM issued, LATERAL (
                SELECT billed_minor FROM billing_reports
                WHERE partner_id = $1 AND billing_reports.period = issued.period AND final
                ORDER BY version DESC LIMIT 1
            ) AS written) AS billed_minor,
            (SELECT coalesce(sum(amount_minor), 0)::bigint FROM credits
                WHERE partner_id = $1 AND period IN (SELECT period FROM issued)) AS returned_minor,
            (SELECT coalesce(sum((line ->> 'net')::numeric * 100), 0)::bigint
                FROM issued, jsonb_array_elements(content::jsonb -> 'lines') AS line
                WHERE line ->> 'kind' = 'overage') AS overage_minor,
            (SELECT coalesce(sum(amount_minor), 0)::bigint FROM adjustments
                WHERE partner_id = $1 AND taken_back_at IS NULL AND period IN (SELECT period FROM issued)
            ) AS adjusted_minor,
            noted.minor::bigint AS noted_minor
        FROM noted
        """,
        partner_id,
    )
    assert row is not None
    return row
