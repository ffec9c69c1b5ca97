"""A dry run notes no changed report and no sums, so that it moves no sequence"""

from alembic import op

revision = "0066"
down_revision = "0064"

_TABLES = {"INSERT": "NEW TABLE AS added", "UPDATE": "OLD TABLE AS removed NEW TABLE AS added"}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    _replace_triggers("WHEN (current_setting('leadger.dry_run', true) IS DISTINCT FROM 'on')")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    _replace_triggers("")


def _replace_triggers(condition: str) -> None:
    for event, tables in _TABLES.items():
        op.execute(
            f"""
            CREATE OR REPLACE TRIGGER product_periods_note_{event.lower()} AFTER {event} ON product_periods
            REFERENCING {tables} FOR EACH STATEMENT {condition} EXECUTE FUNCTION note_report_changes()
            """
        )
