"""What was found when stored texts came under the rules of R1: what a person may want to look at.

A finding names rows by their keys and never a person, so erasure has nothing to do here.
"""

import asyncpg


async def add(
    connection: asyncpg.Connection, kind: str, subject_id: str, detail: str, *, other_id: str | None = None
) -> None:
    """Note a finding; one of the same kind and subject is replaced."""
    await connection.execute(
        """
        INSERT INTO text_findings (kind, subject_id, other_id, detail) VALUES ($1, $2, $3, $4)
        ON CONFLICT (kind, subject_id) DO UPDATE SET other_id = $3, detail = $4, found_at = clock_timestamp()
        """,
        kind,
        subject_id,
        other_id,
        detail,
    )


async def count(connection: asyncpg.Connection) -> dict[str, int]:
    """How many there are of each kind."""
    rows = await connection.fetch("SELECT kind, count(*) AS number FROM text_findings GROUP BY kind ORDER BY kind")
    return {row["kind"]: row["number"] for row in rows}
