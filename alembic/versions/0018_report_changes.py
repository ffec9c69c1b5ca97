"""Which reports changed since their last snapshot, and the sums of all reports per currency

Triggers keep both, once per statement, so that what an older release counts meanwhile is in them. The counters are summed
once, with writers locked out: workers wait for about a second per million rows, nobody who sends leads does.
"""

from alembic import op

revision = "0018"
down_revision = "0049"

_FIGURES = (
    "leads actions billed partly_billed capped duplicate held returned gross_minor billed_minor duplicate_savings_minor"
    " cap_savings_minor held_minor returned_minor credited_minor"
).split()
_SHARDS = 64
"""Backends of one remainder wait for each other's rows, so there are many."""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("LOCK TABLE product_periods IN SHARE ROW EXCLUSIVE MODE")
    op.execute(
        """
        CREATE TABLE report_changes (
            period integer NOT NULL, partner_id uuid NOT NULL, slot smallint NOT NULL, changed_by bigint NOT NULL,
            CONSTRAINT pk_report_changes PRIMARY KEY (period, partner_id, slot)
        )
        """
    )
    figures = ", ".join(f"{name} bigint NOT NULL" for name in _FIGURES)
    op.execute(
        f"""
        CREATE TABLE currency_totals (
            currency text NOT NULL, slot smallint NOT NULL, {figures},
            CONSTRAINT pk_currency_totals PRIMARY KEY (currency, slot)
        )
        """
    )
    names = ", ".join(_FIGURES)
    sums = ", ".join(f"sum({name})" for name in _FIGURES)
    negative = ", ".join(f"-{name}" for name in _FIGURES)
    added = ", ".join(f"{name} = currency_totals.{name} + excluded.{name}" for name in _FIGURES)
    count = f"""
        INSERT INTO currency_totals (currency, slot, {names})
        SELECT currency, shard, {sums} FROM ({{rows}}) AS counted JOIN partners ON partners.id = partner_id
        GROUP BY currency ORDER BY currency
        ON CONFLICT (currency, slot) DO UPDATE SET {added};
    """  # noqa: S608 - names of our own columns
    inserted = f"SELECT partner_id, {names} FROM added"  # noqa: S608 - names of our own columns
    updated = f"{inserted} UNION ALL SELECT partner_id, {negative} FROM removed"  # noqa: S608 - names of our own columns
    # Plans of statements that name transition tables are kept per session; rows are few.
    op.execute(
        f"""
        CREATE FUNCTION note_report_changes() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            shard smallint := pg_backend_pid() % {_SHARDS};
        BEGIN
            IF NOT EXISTS (SELECT FROM added) THEN
                RETURN NULL;
            END IF;
            INSERT INTO report_changes (period, partner_id, slot, changed_by)
            SELECT DISTINCT period, partner_id, shard, pg_current_xact_id()::text::bigint FROM added ORDER BY 1, 2
            ON CONFLICT (period, partner_id, slot) DO UPDATE SET changed_by = excluded.changed_by;
            IF TG_OP = 'INSERT' THEN
                {count.format(rows=inserted)}
            ELSE
                {count.format(rows=updated)}
            END IF;
            RETURN NULL;
        END $$
        """  # noqa: S608 - names of our own columns
    )
    for event, tables in (("INSERT", "NEW TABLE AS added"), ("UPDATE", "OLD TABLE AS removed NEW TABLE AS added")):
        op.execute(
            f"""
            CREATE TRIGGER product_periods_note_{event.lower()} AFTER {event} ON product_periods
            REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION note_report_changes()
            """
        )
    op.execute(
        f"""
        INSERT INTO currency_totals (currency, slot, {names})
        SELECT currency, 0, {sums} FROM product_periods JOIN partners ON partners.id = partner_id GROUP BY currency
        """  # noqa: S608 - names of our own columns
    )
    # The first snapshot looks at every report once.
    op.execute(
        """
        INSERT INTO report_changes (period, partner_id, slot, changed_by)
        SELECT DISTINCT period, partner_id, 0, 0 FROM product_periods
        """
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("LOCK TABLE product_periods IN SHARE ROW EXCLUSIVE MODE")
    for event in ("insert", "update"):
        op.execute(f"DROP TRIGGER product_periods_note_{event} ON product_periods")
    op.execute("DROP FUNCTION note_report_changes()")
    op.execute("DROP TABLE report_changes")
    op.execute("DROP TABLE currency_totals")
