"""People for the tests of moves and approvals: each is a caller with a session, if nothing else is said."""

from itertools import count
from uuid import UUID

from billing.bills.callers import Caller
from billing.roles import Role

_numbers = count(1)


def person(role: Role | None, is_csm: bool = False) -> Caller:
    return Caller("user", UUID(int=next(_numbers)), role, is_csm)


def key(role: Role | None, maker: Caller | None = None) -> Caller:
    return Caller("key", None if maker is None else maker.person, role)


ADMIN, ADMIN_2 = person(Role.ADMIN), person(Role.ADMIN)
FINANCE, FINANCE_2 = person(Role.FINANCE), person(Role.FINANCE)
CSM = person(Role.CUSTOMER_SUCCESS, is_csm=True)
SUCCESS = person(Role.CUSTOMER_SUCCESS)
SALES = person(Role.SALES)
DEPUTY = person(Role.SALES, is_csm=True)
PARTNER = person(Role.PARTNER)
NEWCOMER = person(None)
PEOPLE = [ADMIN, ADMIN_2, FINANCE, FINANCE_2, CSM, SUCCESS, SALES, DEPUTY, PARTNER, NEWCOMER]
