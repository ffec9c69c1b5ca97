"""Which bills wait for somebody (B5), as conditions of rows: those that they could submit, approve, revise or issue.

`billing.bills.moves` decides each move; this finds the same bills among very many.
"""

import asyncpg

from billing.bills.callers import Caller
from billing.bills.states import State
from billing.contracts.preferences import Approver
from billing.roles import Role

_FINANCE = frozenset({Role.FINANCE, Role.ADMIN})
_PLACES = {
    Role.CUSTOMER_SUCCESS: [Approver.CUSTOMER_SUCCESS, Approver.ANY],
    Role.SALES: [Approver.SALES, Approver.ANY],
}
_CAN_BE_APPROVED = """
    shown_state = 'pending' AND cardinality(asked) > 0
    AND NOT EXISTS (SELECT FROM bill_approvals WHERE bill_id = bills.id AND user_id = {0})
    AND NOT EXISTS (
        SELECT FROM bill_actions WHERE bill_id = bills.id AND move IN ('create', 'refresh', 'adjust', 'submit')
            AND who_id = ANY({1}::uuid[])
    )
    AND NOT EXISTS (
        SELECT FROM usage
        WHERE partner_id = bills.partner_id AND period = bills.period AND who_id = ANY({1}::uuid[])
    )
    AND NOT EXISTS (
        SELECT FROM adjustments
        WHERE partner_id = bills.partner_id AND period = bills.period AND who_id = ANY({1}::uuid[])
    )
"""
_HAS_EMPTY_PLACE = """
    EXISTS (
        SELECT FROM unnest(asked) AS asked_places (asked_place)
        WHERE asked_place = ANY({2}::text[]) OR (asked_place = 'csm' AND csm_id = ANY({3}::uuid[]))
        GROUP BY asked_place
        HAVING count(*) > (SELECT count(*) FROM bill_approvals WHERE bill_id = bills.id AND place = asked_place)
    )
"""

Condition = tuple[str, tuple[object, ...]]
"""A condition with a mark like {0} for each of its values."""


async def conditions(connection: asyncpg.Connection, caller: Caller) -> list[Condition]:
    """What bills fulfil that wait for a person or a key, each bill one of these at most; no list has no bill."""
    found: list[Condition] = []
    if caller.role in _FINANCE:
        found += [("shown_state = {}", (state,)) for state in (State.DRAFT, State.APPROVED, State.REJECTED)]
    if caller.kind != "user" or caller.person is None:
        return found
    keys = await connection.fetch("SELECT key_id FROM key_makers WHERE user_id = $1", caller.person)
    known_as = caller.person, [caller.person, *(row["key_id"] for row in keys)]
    if caller.role is Role.ADMIN:
        return [*found, (_CAN_BE_APPROVED, known_as)]
    stood_in_for = await connection.fetch(
        "SELECT user_id FROM deputies WHERE deputy_id = $1 AND until > clock_timestamp()", caller.person
    )
    csm_ids = [caller.person, *(row["user_id"] for row in stood_in_for)]
    places = _PLACES.get(caller.role, []) if caller.role else []
    return [*found, (f"{_CAN_BE_APPROVED} AND {_HAS_EMPTY_PLACE}", (*known_as, places, csm_ids))]
