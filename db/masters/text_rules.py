"""Bringing e-mails, price rules and time zones that older rules took under those of R1 and R12."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from billing.errors import InvalidValue
from billing.texts import text_key
from billing.zones import check_timezone
from db.core import locks
from db.masters import partners, rates, text_findings
from db.masters.emails import email_from_wire

_POSIX = "posix/"


async def respell_emails(connection: asyncpg.Connection) -> int:
    """Write e-mails as they are compared now; returns how many changed. Two people who have one now stay two."""
    await locks.lock_people_exclusive(connection)
    changed = 0
    for row in await connection.fetch(
        "SELECT id, email FROM customers WHERE octet_length(email) <> char_length(email) ORDER BY created_at, id"
    ):
        try:
            email = email_from_wire(row["email"])
        except InvalidValue as error:
            await text_findings.add(connection, "person", str(row["id"]), f"the e-mail {error}")
            continue
        if email == row["email"]:
            continue
        other = await connection.fetchval("SELECT id FROM customers WHERE email = $1", email)
        if other:
            detail = "two people whose e-mails are one now; they stay two"
            await text_findings.add(connection, "person", str(row["id"]), detail, other_id=str(other))
        else:
            await connection.execute("UPDATE customers SET email = $2 WHERE id = $1", row["id"], email)
            changed += 1
    for row in await connection.fetch(
        "SELECT id, billing_email FROM partners WHERE octet_length(billing_email) <> char_length(billing_email)"
    ):
        try:
            email = email_from_wire(row["billing_email"])
        except InvalidValue as error:
            await text_findings.add(connection, "partner", str(row["id"]), f"the billing e-mail {error}")
        else:
            await connection.execute("UPDATE partners SET billing_email = $2 WHERE id = $1", row["id"], email)
    return changed


async def rekey_rates(connection: asyncpg.Connection) -> list[UUID]:
    """Key price rules anew; returns the partners whose prices that can change, with their policy version raised.

    Of two rules that have one key and one start now, the newer one counts; the older one matches nothing any more.
    """
    await locks.lock_rate_card_exclusive(connection)
    touched: set[UUID] = set()
    for row in await connection.fetch("SELECT * FROM rates ORDER BY id DESC"):
        keys = [_key(row["lead_type"]), _key(row["action_type"])]
        if keys == [row["lead_type_key"], row["action_type_key"]]:
            continue
        touched |= set(await rates.affected_partners(connection, row["partner_id"], row["product_id"]))
        if row["ended_at"] is None and not await _is_newest(connection, row, keys):
            keys = [keys[0], _matches_nothing(row["id"])]
        await connection.execute(
            "UPDATE rates SET lead_type_key = $2, action_type_key = $3 WHERE id = $1", row["id"], *keys
        )
    await partners.raise_policy_version(connection, sorted(touched))
    return sorted(touched)


async def check_timezones(connection: asyncpg.Connection) -> Sequence[str]:
    """Name time zones as the IANA does where that changes nothing; returns the others, which are noted."""
    odd = []
    for row in await connection.fetch("SELECT DISTINCT timezone FROM partner_time_zones ORDER BY 1"):
        name = row["timezone"]
        if _is_known(name):
            continue
        if name.startswith(_POSIX) and _is_known(name.removeprefix(_POSIX)):
            await connection.execute(
                "UPDATE partner_time_zones SET timezone = $2 WHERE timezone = $1", name, name.removeprefix(_POSIX)
            )
            continue
        odd.append(name)
        detail = (
            "no time zone of the IANA; months begin by what each machine has for it, so give its partners another one"
        )
        await text_findings.add(connection, "time_zone", name, detail)
    return odd


async def _is_newest(connection: asyncpg.Connection, rule: asyncpg.Record, keys: list[str | None]) -> bool:
    """Whether a rule is the newest of those that have its keys and start now; an older one gives its key up."""
    twin = await connection.fetchval(
        """
        SELECT id FROM rates WHERE id <> $1 AND partner_id IS NOT DISTINCT FROM $2
            AND product_id IS NOT DISTINCT FROM $3 AND level_key IS NOT DISTINCT FROM $4
            AND effective_from IS NOT DISTINCT FROM $5 AND lead_type_key IS NOT DISTINCT FROM $6
            AND action_type_key IS NOT DISTINCT FROM $7 AND from_period IS NOT DISTINCT FROM $8 AND ended_at IS NULL
        """,
        rule["id"],
        rule["partner_id"],
        rule["product_id"],
        rule["level_key"],
        rule["effective_from"],
        *keys,
        rule["from_period"],
    )
    if twin is None:
        return True
    older, newer = sorted((rule["id"], twin))
    detail = "two rules have the same conditions and start now; the older one matches nothing any more"
    await text_findings.add(connection, "rate", str(older), detail, other_id=str(newer))
    if older == twin:
        await connection.execute("UPDATE rates SET action_type_key = $2 WHERE id = $1", twin, _matches_nothing(twin))
    return bool(newer == rule["id"])


def _matches_nothing(rule_id: int) -> str:
    """A key that no text has, for none has a control character."""
    return f"\x1f{rule_id}"


def _key(text: str | None) -> str | None:
    return None if text is None else text_key(text)


def _is_known(name: str) -> bool:
    try:
        check_timezone(name)
    except InvalidValue:
        return False
    return True
