"""The variables that `leadger migrate --application-login` and a restore read."""

import os
from typing import Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from scripts.errors import CannotStart


class AdminSettings(BaseSettings):
    """The database, its administrator, and the secret that the application reads its DATABASE_URL from."""

    model_config = SettingsConfigDict(env_prefix="LEADGER_", extra="ignore", frozen=True)

    database_host: str = Field(min_length=1)
    database_port: int = 5432
    database_name: str = Field(min_length=1)
    database_sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "require"
    database_admin_user: str = Field(min_length=1)
    database_admin_password: SecretStr = Field(min_length=1)
    application_login_secret_arn: str = Field(min_length=1)

    @property
    def admin_url(self) -> str:
        """The database's URL for its administrator."""
        return self.url_for(self.database_admin_user, self.database_admin_password.get_secret_value())

    def url_for(self, user: str, password: str) -> str:
        """The database's URL for a login."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        place = f"{self.database_host}:{self.database_port}/{quote(self.database_name, safe='')}"
        return f"postgresql://{login}@{place}?sslmode={self.database_sslmode}"


def administrator_url() -> str | None:
    """The database's URL for its administrator; None if the environment names none."""
    return admin_settings().admin_url if os.environ.get("LEADGER_DATABASE_ADMIN_USER") else None


def admin_settings() -> AdminSettings:
    """The settings of the environment; raises CannotStart with the first variable that is missing or wrong."""
    try:
        return AdminSettings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = f"LEADGER_{str(first['loc'][0]).upper()}"
        reason = "is not set" if first["type"] == "missing" else f"cannot be used: {first['msg']}"
        raise CannotStart(f"{name} {reason}; docs/operations.md lists what --application-login needs.") from None
