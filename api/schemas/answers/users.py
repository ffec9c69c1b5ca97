"""People who sign in, and their sessions."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer


class Deputy(Answer):
    """Who approves for a person, and until when."""

    user: UUID
    until: datetime


class User(Answer):
    """A person; `role` null: waits for one. `partner` is the own id of the partner that the person is bound to."""

    user_id: UUID
    name: str
    email: str
    role: Literal["admin", "finance", "customer_success", "sales", "partner"] | None
    partner: str | None
    active: bool
    has_password: bool = Field(description="false: has not used the invitation yet")
    deputy: Deputy | None
    created_at: datetime


class InvitedUser(User):
    """A person with the link of the invitation, which is shown nowhere else."""

    url: str


class PasswordLink(Answer):
    """A link by which a person sets a password, once; it is shown nowhere else."""

    url: str


class Session(Answer):
    """Who has signed in; requests that change something carry the token as X-CSRF-Token."""

    user: User
    csrf_token: str
    expires_at: datetime
