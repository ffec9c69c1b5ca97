"""Permissions: who is calling, what the caller may do, and for which partner."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency

from api.problems import Problem
from db.core.actor import Actor


class Permission(StrEnum):
    """What a caller may do; the scopes of an API key are permissions by name."""

    INGEST = "ingest"
    READ = "read"
    BILL = "bill"
    PRICING = "pricing"
    METRICS = "metrics"
    ADMIN = "admin"
    """Implies all others."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and what it may do."""

    actor: Actor
    permissions: tuple[Permission, ...]
    partner_id: UUID | None = None
    """The only partner that the caller may see; None: all partners."""

    @property
    def id(self) -> UUID:
        """Row key of the actor, by which limits count."""
        assert self.actor.id is not None
        return self.actor.id

    def may(self, permission: Permission, partner_id: UUID | None = None) -> bool:
        """Whether the caller has the permission, for this partner or, if none is given, for all partners."""
        if permission not in self.permissions and Permission.ADMIN not in self.permissions:
            return False
        return self.partner_id is None or partner_id == self.partner_id

    def check(self, permission: Permission, *, within_partner: bool = False) -> None:
        """Problem 403 unless the caller has the permission; for all partners, unless the caller keeps to its own."""
        if not self.may(permission, self.partner_id):
            scopes = ", ".join(self.permissions)
            raise Problem(403, f"This key has the scopes {scopes}; {permission.value!r} is needed here.")
        if self.partner_id is not None and not within_partner:
            raise Problem(403, "This key is bound to a partner, and what is asked for is not open to such keys.")


@dataclass(frozen=True, slots=True)
class Requirement:
    """The permission that a route needs, as a dependency of FastAPI.

    FastAPI reads the body before it calls a dependency. So `api.routing.Route` checks it first: without the permission
    the answer is 403, whatever the query and the body are.
    """

    permission: Permission
    within_partner: bool = False

    async def __call__(self, request: Request) -> None:
        """Problem 403 unless the caller has the permission."""
        caller_of(request).check(self.permission, within_partner=self.within_partner)


def requires(permission: Permission, *, within_partner: bool = False) -> Dependency:
    """The dependency by which a route names the permission that it needs.

    Callers that are bound to a partner are refused, unless the route itself shows them their partner only
    (`within_partner`).
    """
    dependency: Dependency = Depends(Requirement(permission, within_partner))
    return dependency


def caller_of(request: Request) -> Caller:
    """Who makes the request; known on every path that needs a key."""
    caller: Caller = request.scope["caller"]
    return caller
