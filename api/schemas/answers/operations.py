"""What monitoring reads."""

from typing import Literal

from api.schemas.answers.base import Answer


class Health(Answer):
    """The process answers."""

    status: Literal["ok"]
    version: str


class Readiness(Answer):
    """Leads can be accepted; what does not work is listed."""

    status: Literal["ok", "degraded"]
    degraded: list[str]
