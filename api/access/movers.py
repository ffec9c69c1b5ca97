"""Who moves a bill: the person behind the caller, and the role that a key's scope amounts to."""

from fastapi import Request

from api.access.permissions import Permission, caller_of
from billing.bills.callers import Caller
from billing.roles import Role
from db.bills.moves import Mover


def mover_of(request: Request) -> Mover:
    """The caller as the rules of bills know it: scope `bill` may what Finance may, `admin` what an Admin may."""
    caller = caller_of(request)
    if caller.session is not None:
        return Mover(caller.person_id, caller.session.role)
    if caller.may(Permission.ADMIN, caller.partner_id):
        return Mover(caller.person_id, Role.ADMIN)
    return Mover(caller.person_id, Role.FINANCE if caller.may(Permission.BILL, caller.partner_id) else None)


def waiting_caller(request: Request) -> Caller:
    """The caller as the list of what waits for them knows it."""
    mover = mover_of(request)
    return Caller("key" if caller_of(request).session is None else "user", mover.person, mover.role)
