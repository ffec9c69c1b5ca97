"""Every setting of Leadger, read from the environment once at the root of each process."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from billing.webhooks.destinations import EVERYWHERE, Network, check_url, networks_from_text

_POSTGRES_SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg", "postgres+asyncpg"}


class Settings(BaseSettings):
    """Settings by environment variable; the README's configuration table is checked against this class.

    `DATABASE_URL` and `REDIS_URL` are taken as pasted: `postgres://`, `postgresql://` or
    `postgresql+asyncpg://` with `sslmode`, and `redis://` or `rediss://`.
    """

    model_config = SettingsConfigDict(env_prefix="LEADGER_", extra="ignore", frozen=True)

    database_url: str = Field(validation_alias=AliasChoices("DATABASE_URL", "database_url"))
    redis_url: str = Field(validation_alias=AliasChoices("REDIS_URL", "redis_url"))
    log_level: str = Field("INFO", validation_alias=AliasChoices("LOG_LEVEL", "log_level"))
    api_base_url: str = Field(
        "http://127.0.0.1:8000",
        validation_alias=AliasChoices("API_BASE_URL", "api_base_url"),
        description="where people reach the API, for links; with https:// cookies are Secure",
    )
    github_webhook_secret: str = Field(
        "",
        validation_alias=AliasChoices("GITHUB_WEBHOOK_SECRET", "github_webhook_secret"),
        description="what GitHub signs its webhook with; empty: every delivery is refused",
    )
    github_api_token: str = Field(
        "",
        validation_alias=AliasChoices("GITHUB_API_TOKEN", "github_api_token"),
        description="with it GitHub is told how a run ended that a push or a workflow started; empty: it is not",
    )
    github_api_url: str = Field("https://api.github.com", description="where GitHub's API is")
    github_repository: str = Field("", description="the repository whose webhook starts runs, like owner/name")
    github_branch: str = Field("main", description="the branch whose webhook starts runs")
    smtp_url: str = Field(
        "",
        validation_alias=AliasChoices("SMTP_URL", "smtp_url"),
        description="where mail goes, e.g. smtps://user:password@host; empty: HOME/outbox",
    )
    mail_from: str = Field("leadger@localhost", description="the sender of mail")
    reminder_days: Annotated[tuple[int, ...], NoDecode] = Field(
        (3, 14, 30), description="days after the due date on which partners are reminded, e.g. 3,14,30; empty: never"
    )
    reminder_interval_s: float = Field(3600.0, gt=0, description="how often overdue bills are looked for")
    notice_interval_s: float = Field(60.0, gt=0, description="how often people are told of bills that wait for them")
    mail_patience_h: float = Field(24.0, gt=0, description="hours for which mail that is put off is tried again")

    slack_webhook_url: str = Field(
        "",
        validation_alias=AliasChoices("SLACK_WEBHOOK_URL", "slack_webhook_url"),
        description="an incoming webhook of Slack that tells of bills that wait for approval and of runs; empty: none",
    )
    billing_notification_webhook_url: str = Field(
        "",
        validation_alias=AliasChoices("BILLING_NOTIFICATION_WEBHOOK_URL", "billing_notification_webhook_url"),
        description="a URL that gets a JSON message when a run has finished; empty: none",
    )
    webhook_key: str = Field(
        "", description="what the secrets of webhooks are made from beside the database; another one changes them all"
    )
    webhook_networks: str = Field(
        "", description="networks of your own where webhooks may go, also by http, e.g. 10.0.0.0/8; empty: none"
    )

    access_log: bool = Field(True, description="one line in the log per answer of the API")

    home: Path = Field(Path(".leadger"), description="folder for embedded data, logs and report files")
    report_files_url: str = Field(
        "", description="where report files go, e.g. s3://bucket/reports; empty: HOME/reports"
    )
    database_pool_size: int = Field(8, ge=1, description="database connections per process")
    database_command_timeout_s: float = Field(60.0, gt=0, description="longest time one SQL statement may take")

    max_body_bytes: int = Field(16 * 1024 * 1024, ge=1024, description="largest request body, after decompression")
    body_timeout_s: float = Field(30.0, gt=0, description="longest wait for the next bytes of a request body")
    answer_timeout_s: float = Field(
        30.0, gt=0, description="longest that a large answer waits for its client to read on"
    )
    max_batch_leads: int = Field(10_000, ge=1, description="most leads in one request")
    max_lead_actions: int = Field(1_000, ge=1, description="most actions in one lead")
    converting_actions: str = Field(
        "Signup,Purchase,Subscription,Activation,Meeting",
        description="action types whose cost attribution credits to what came before them",
    )
    rate_limit_per_s: float = Field(0, ge=0, description="requests per second per API key and process; 0: no limit")

    max_inbox_leads: int = Field(1_000_000, ge=0, description="most leads that wait before 429; 0: no limit")
    max_inbox_age_s: float = Field(3600.0, ge=0, description="longest that leads wait before 429; 0: no limit")

    task_max_leads: int = Field(1_000, ge=1, description="leads that one worker transaction takes at most")
    sweep_interval_s: float = Field(2.0, gt=0, description="how often the sweeper looks for waiting work")
    snapshot_interval_s: float = Field(900.0, gt=0, description="how often changed reports are snapshot")
    invariants_interval_s: float = Field(
        900.0, gt=0, description="how often sums (R9, B10) are checked and bills proven"
    )
    billing_scheduler_enabled: bool = Field(
        True,
        validation_alias=AliasChoices("BILLING_SCHEDULER_ENABLED", "billing_scheduler_enabled"),
        description="whether months are billed by themselves once they have ended",
    )
    billing_interval_s: float = Field(3600.0, gt=0, description="how often the scheduler looks for ended months")
    billing_grace_s: float = Field(7200.0, ge=0, description="how long after its end a month is billed")
    billing_threshold_percent: float | None = Field(
        None, ge=0, description="a bill that differs by more from the month before waits for a person; empty: none does"
    )
    inbox_retention_days: int = Field(90, ge=1, le=36_500, description="how long requests are kept once decided")
    task_retention_days: int = Field(
        90, ge=1, le=36_500, description="how long finished tasks and messages of webhooks are kept"
    )

    @field_validator("database_url")
    @classmethod
    def _database_url_is_postgres(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in _POSTGRES_SCHEMES:
            raise ValueError("DATABASE_URL must begin with postgres://, postgresql:// or postgresql+asyncpg://")
        return urlunsplit(parts._replace(scheme="postgresql"))

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_redis(cls, url: str) -> str:
        if urlsplit(url).scheme not in {"redis", "rediss"}:
            raise ValueError("REDIS_URL must begin with redis:// or rediss://")
        parts = urlsplit(url)
        if parts.scheme == "rediss" and "ssl_cert_reqs=" not in parts.query:
            # Celery's library would take any certificate.
            query = f"{parts.query}&ssl_cert_reqs=required" if parts.query else "ssl_cert_reqs=required"
            url = urlunsplit(parts._replace(query=query))
        return url

    @field_validator("api_base_url")
    @classmethod
    def _api_base_url_is_a_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("API_BASE_URL must be like https://leadger.example.com")
        return url.rstrip("/")

    @field_validator("smtp_url")
    @classmethod
    def _smtp_url_is_smtp(cls, url: str) -> str:
        if url and (urlsplit(url).scheme not in {"smtp", "smtps"} or not urlsplit(url).hostname):
            raise ValueError("SMTP_URL must begin with smtp:// or smtps:// and name a host")
        return url

    @field_validator("reminder_days", mode="before")
    @classmethod
    def _reminder_days_are_days(cls, value: object) -> object:
        days = [int(each) for each in value.split(",") if each.strip()] if isinstance(value, str) else value
        if not isinstance(days, list | tuple) or any(not 1 <= each <= 3650 for each in days):
            raise ValueError("REMINDER_DAYS must be days after the due date, like 3,14,30")
        return tuple(days)

    @field_validator("slack_webhook_url", "billing_notification_webhook_url")
    @classmethod
    def _webhook_url_is_a_url(cls, url: str) -> str:
        return check_url(url, EVERYWHERE) if url else url

    @field_validator("webhook_networks")
    @classmethod
    def _webhook_networks_are_networks(cls, text: str) -> str:
        networks_from_text(text)
        return text

    @property
    def own_networks(self) -> tuple[Network, ...]:
        """`webhook_networks` as networks."""
        return networks_from_text(self.webhook_networks)

    @field_validator("log_level")
    @classmethod
    def _log_level_is_known(cls, level: str) -> str:
        if level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ValueError("LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
        return level.upper()
