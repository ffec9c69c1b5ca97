"""Permissions: who is calling, what the caller may do, and for which partner."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency

from api.problems import Problem
from billing.roles import Role
from db.access.sessions import Session
from db.core.actor import SYSTEM, Actor


class Permission(StrEnum):
    """What a caller may do; the scopes of an API key are permissions by name."""

    INGEST = "ingest"
    READ = "read"
    BILL = "bill"
    PRICING = "pricing"
    METRICS = "metrics"
    ADMIN = "admin"
    """Implies all others."""


ROLES: Mapping[Role, tuple[Permission, ...]] = MappingProxyType(
    {
        Role.ADMIN: (Permission.ADMIN,),
        Role.FINANCE: (Permission.READ, Permission.BILL),
        Role.CUSTOMER_SUCCESS: (Permission.READ,),
        Role.SALES: (Permission.READ,),
        Role.PARTNER: (Permission.READ,),
    }
)
"""What people may do by their roles; a person with the role partner is bound to one."""

_NOBODY = UUID(int=0)


class NotPermitted(Problem):
    """Problem 403 for a caller without a permission."""

    def __init__(self, detail: str, permission: Permission) -> None:
        super().__init__(403, detail)
        self.permission = permission


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and what it may do: a key, or a person who has signed in."""

    actor: Actor
    permissions: tuple[Permission, ...]
    partner_id: UUID | None = None
    """The only partner that the caller may see; None: all partners."""
    session: Session | None = None
    """Of a person; None for a key."""
    person_id: UUID | None = None
    """The person who calls, or who made the key and for whom it stands."""

    @property
    def id(self) -> UUID:
        """Row key of the actor, by which limits count."""
        return self.actor.id or _NOBODY

    @property
    def name_in_logs(self) -> str:
        """The name of a key; of a person the id."""
        return str(self.id) if self.session else self.actor.name

    def may(self, permission: Permission, partner_id: UUID | None = None) -> bool:
        """Whether the caller has the permission, for this partner or, if none is given, for all partners."""
        if permission not in self.permissions and Permission.ADMIN not in self.permissions:
            return False
        return self.partner_id is None or partner_id == self.partner_id

    def check(self, permission: Permission, *, within_partner: bool = False) -> None:
        """Problem 403 unless the caller has the permission; for all partners, unless the caller keeps to its own."""
        if not self.may(permission, self.partner_id):
            raise NotPermitted(f"{self._what_it_has()}; {permission.value!r} is needed here.", permission)
        if self.partner_id is not None and not within_partner:
            who, others = ("You are", "people who") if self.session else ("This key is", "keys that")
            raise Problem(403, f"{who} bound to a partner; this is open only to {others} are not.")

    def _what_it_has(self) -> str:
        if self.session is None:
            return f"This key has the scopes {', '.join(self.permissions)}"
        if self.session.role is None:
            return "You have no role yet, and an Admin gives you one"
        return f"With the role {self.session.role} you have the permissions {', '.join(self.permissions)}"


ANYBODY = Caller(SYSTEM, ())
"""Who has not said who they are, on the few paths where nobody has to."""


class Requirement:
    """What a route needs of its caller, as a dependency of FastAPI.

    FastAPI reads the body before it calls a dependency. So `api.routing.Route` checks it first: a caller who may not
    ask gets 403, whatever the query and the body are.
    """

    async def __call__(self, request: Request) -> None:
        """Problem 403 for a caller who may not ask."""
        raise NotImplementedError

    def in_words(self) -> str:
        """The same as a sentence of the description of the API."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class HasPermission(Requirement):
    """The caller has a permission."""

    permission: Permission
    within_partner: bool = False
    or_else: Permission | None = None

    async def __call__(self, request: Request) -> None:
        """Problem 403 unless the caller has the permission, or the other one that does as well."""
        caller = caller_of(request)
        if self.or_else is None or not caller.may(self.or_else, caller.partner_id):
            caller.check(self.permission, within_partner=self.within_partner)
        else:
            caller.check(self.or_else, within_partner=self.within_partner)

    def in_words(self) -> str:
        """The scopes of keys and the roles of people that have the permission, and what being bound means."""
        enough = [self.permission] if self.or_else is None else [self.permission, self.or_else]
        roles = [
            role.replace("_", " ")
            for role, held in ROLES.items()
            if (self.within_partner or role != Role.PARTNER) and not {Permission.ADMIN, *enough}.isdisjoint(held)
        ]
        permissions = " or ".join(f"`{each}`" for each in enough)
        bound = "have it for that partner only" if self.within_partner else "are refused"
        return (
            f"Needs the permission {permissions}: of a key the scope, of people the role {', '.join(roles)}. "
            f"Keys and people bound to a partner {bound}."
        )


class IsPerson(Requirement):
    """The caller has signed in, whatever the role."""

    async def __call__(self, request: Request) -> None:
        """Problem 403 for a key."""
        if caller_of(request).session is None:
            raise Problem(403, "This is for people who have signed in, and not for keys.")

    def in_words(self) -> str:
        """People, and no keys."""
        return "Needs a person who has signed in; keys are refused."


class IsOneselfOrAdmin(Requirement):
    """The caller is the person in the path, or may do everything."""

    async def __call__(self, request: Request) -> None:
        """Problem 404 for a person who asks for somebody else, 403 for a key."""
        caller, user_id = caller_of(request), request.path_params["user_id"]
        if caller.session is None:
            caller.check(Permission.ADMIN)
        elif not caller.may(Permission.ADMIN) and user_id.lower() != str(caller.id):
            raise Problem(404, f"There is no person {user_id}.")

    def in_words(self) -> str:
        """The person itself, or who may do everything."""
        return "Needs the person itself, an Admin, or a key with the scope `admin`."


def requires(permission: Permission, *, within_partner: bool = False, or_else: Permission | None = None) -> Dependency:
    """The dependency by which a route names the permission that it needs, or the other one that does as well.

    Callers that are bound to a partner are refused, unless the route itself shows them their partner only
    (`within_partner`).
    """
    dependency: Dependency = Depends(HasPermission(permission, within_partner, or_else))
    return dependency


FOR_PEOPLE: Dependency = Depends(IsPerson())
FOR_ONESELF_OR_ADMIN: Dependency = Depends(IsOneselfOrAdmin())


def caller_of(request: Request) -> Caller:
    """Who makes the request; known on every path that needs a key."""
    caller: Caller = request.scope["caller"]
    return caller
