"""What the routes of people take and give."""

from typing import Any
from uuid import UUID

from pydantic import Field, StrictBool

from api.schemas.fields import Body, Email, Id, Instant, Password, Text, UuidText
from api.wire import instant_out
from billing.roles import Role
from db.access.users import Deputy, User

TYPED_PASSWORD = Field(max_length=1000, json_schema_extra={"format": "password"})
"""A password to compare; whoever has one may type whatever they like."""


class SignUp(Body):
    """Somebody who wants an account."""

    name: Text
    email: Email
    password: Password


class Invitation(Body):
    """Somebody to invite; with the role partner, to which partner."""

    name: Text
    email: Email
    role: Role
    partner: Id | None = None


class DeputyIn(Body):
    """Who approves for a person, and until when."""

    user: UuidText
    until: Instant


class UserChange(Body):
    """What to change of a person; role null takes it away, deputy null ends it."""

    role: Role | None = None
    partner: Id | None = None
    active: StrictBool = True
    deputy: DeputyIn | None = None

    def wanted(self, partner_id: UUID | None) -> dict[str, Any]:
        """The fields that were sent as `db.access.users` takes them, with the row key of the partner."""
        sent = self.sent()
        wanted: dict[str, Any] = {"role": self.role} if "role" in sent else {}
        if "partner" in sent:
            wanted["partner_id"] = partner_id
        if "active" in sent:
            wanted["is_active"] = self.active
        if "deputy" in sent:
            wanted["deputy"] = Deputy(self.deputy.user, self.deputy.until) if self.deputy else None
        return wanted


def user_out_from_user(user: User) -> dict[str, Any]:
    """A person with role, partner and deputy."""
    deputy = user.deputy
    return {
        "user_id": user.id,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "partner": user.partner,
        "active": user.is_active,
        "has_password": user.has_password,
        "deputy": {"user": deputy.user_id, "until": instant_out(deputy.until)} if deputy else None,
        "created_at": instant_out(user.created_at),
    }
