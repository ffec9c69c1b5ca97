"""The checks of single columns, which 0001 left out, and a window of days that names its days."""

from alembic import op

revision = "0004"
down_revision = "0003"

_CHECKS = [
    ("partners", "currency", "currency ~ '^[A-Z]{3}$'"),
    (
        "partners",
        "closed_through",
        "closed_through BETWEEN 190001 AND 999912 AND closed_through % 100 BETWEEN 1 AND 12",
    ),
    ("quarantine", "reason", "reason IN ('unknown_product', 'unknown_customer', 'conflict')"),
    ("billing_reports", "version", "version > 0"),
    ("billing_reports", "period", "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12"),
    ("partner_terms", "cap", "cap_minor >= 0"),
    ("partner_terms", "scope", "cap_scope IN ('period', 'lifetime')"),
    ("partner_terms", "limit", "monthly_api_limit >= 0"),
    ("partner_terms", "overage", "overage_unit_cost_minor >= 0"),
    ("periods", "period", "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12"),
    ("usage", "period", "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12"),
    ("usage", "api_calls", "api_calls >= 0"),
    ("billing_report_files", "format", "format IN ('csv', 'md', 'json', 'pdf')"),
    ("billing_report_files", "size", "size_bytes >= 0"),
    ("billing_report_files", "sha256", "sha256 ~ '^[0-9a-f]{64}$'"),
    ("bills", "period", "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12"),
    ("bills", "amount", "amount_minor >= 0"),
    ("rate_rules", "level", "level_key IN ('high', 'medium', 'low')"),
    ("rate_rules", "amount", "amount_minor >= 0"),
    ("credits", "period", "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12"),
    ("credits", "amount", "amount_minor >= 0"),
]
_WINDOW = """
    dedup_window IN ('forever', 'period') AND dedup_days IS NULL
    OR dedup_window = 'days' AND dedup_days IS NOT NULL AND dedup_days BETWEEN 1 AND 3650
"""
_WINDOW_BEFORE = """
    dedup_window IN ('forever', 'period') AND dedup_days IS NULL
    OR dedup_window = 'days' AND dedup_days BETWEEN 1 AND 3650
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table, name, condition in _CHECKS:
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({condition})")
    _replace_window(_WINDOW)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace_window(_WINDOW_BEFORE)
    for table, name, _ in _CHECKS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_{name}")


def _replace_window(condition: str) -> None:
    """A comparison with NULL is neither true nor false, and a check lets that pass."""
    op.execute("ALTER TABLE partner_terms DROP CONSTRAINT ck_partner_terms_window")
    op.execute(f"ALTER TABLE partner_terms ADD CONSTRAINT ck_partner_terms_window CHECK ({condition})")
