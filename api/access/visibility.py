"""What a caller sees that is bound to a partner: what is that partner's, and no names of people or of other callers.

What is another partner's is answered like what does not exist. Who a lead user is, the installation learnt from leads
of all partners: so such callers see no name and no e-mail, and the id that leads of their partner carried.
"""

from typing import Any
from uuid import UUID

from fastapi import Request

from api.access.permissions import caller_of

_CONFLICT = "A lead with this id is known and says something else; the first one stands."


def own_partner(request: Request) -> UUID | None:
    """The only partner that the caller sees; None: all."""
    return caller_of(request).partner_id


def sees_people(request: Request) -> bool:
    """Whether the caller sees names and e-mails of lead users."""
    return own_partner(request) is None


def without_names(request: Request, content: dict[str, Any], *fields: str) -> dict[str, Any]:
    """An answer in which fields that name another caller are null for a bound one."""
    return content if own_partner(request) is None else content | dict.fromkeys(fields)


def problem_detail(request: Request, reason: str | None, detail: str) -> str:
    """Why a lead is in quarantine; of the lead that it contradicts, which may be another's, bound callers hear less."""
    return _CONFLICT if reason == "conflict" and own_partner(request) is not None else detail
