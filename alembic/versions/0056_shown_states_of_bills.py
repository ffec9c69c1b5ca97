"""A bill keeps the state that it shows, paid and written off too, so that lists of it are read from an index

Triggers keep it, because the release before pays and writes off meanwhile.
"""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0054"

_STATES = "'draft', 'pending', 'approved', 'rejected', 'issued', 'paid', 'written_off', 'void', 'cancelled'"
_OPEN = "shown_state = 'issued' AND (corrects_id IS NULL OR net_minor + tax_minor < 0)"
_REFUSE = """
    CREATE OR REPLACE FUNCTION refuse_changed_bill() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.issued_at IS NULL THEN
            RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        END IF;
        IF TG_OP = 'UPDATE' AND NEW.state IN (OLD.state, 'cancelled')
            AND to_jsonb(NEW) - {free}::text[] = to_jsonb(OLD) - {free}::text[]
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'an issued bill never changes' USING ERRCODE = 'check_violation';
    END $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("LOCK TABLE account_rests IN SHARE ROW EXCLUSIVE MODE")  # before bills, as whoever books does
    op.execute("ALTER TABLE bills ADD COLUMN IF NOT EXISTS shown_state text")
    op.execute(_REFUSE.format(free="'{state,dispute,shown_state}'"))
    op.execute(
        """
        CREATE OR REPLACE FUNCTION set_shown_state() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.shown_state := CASE
                WHEN NEW.state <> 'issued' OR NEW.corrects_id IS NOT NULL THEN NEW.state
                WHEN NEW.net_minor + NEW.tax_minor > 0
                    AND EXISTS (SELECT FROM account_rests WHERE entry_id = NEW.id AND rest_minor > 0) THEN 'issued'
                WHEN EXISTS (
                    SELECT FROM account_entries AS write_off WHERE bill_id = NEW.id AND kind = 'write_off'
                        AND NOT EXISTS (SELECT FROM account_entries WHERE reverses_id = write_off.id)
                ) THEN 'written_off'
                ELSE 'paid'
            END;
            RETURN NEW;
        END $$
        """
    )
    # A bill is booked before it is issued, so that this finds nothing to do for a new one.
    op.execute(
        """
        CREATE OR REPLACE FUNCTION show_state_by_rest() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE bills SET shown_state = NULL
            WHERE id = NEW.entry_id AND state = 'issued' AND corrects_id IS NULL
                AND (shown_state = 'issued') IS DISTINCT FROM (NEW.rest_minor > 0);
            RETURN NULL;
        END $$
        """
    )
    op.execute("DROP TRIGGER IF EXISTS bills_show_state ON bills")  # a start that was broken off
    op.execute("DROP TRIGGER IF EXISTS account_rests_show_state ON account_rests")
    op.execute(
        "CREATE TRIGGER bills_show_state BEFORE INSERT OR UPDATE ON bills FOR EACH ROW"
        " EXECUTE FUNCTION set_shown_state()"
    )
    op.execute(
        "CREATE TRIGGER account_rests_show_state AFTER INSERT OR UPDATE ON account_rests FOR EACH ROW"
        " EXECUTE FUNCTION show_state_by_rest()"
    )
    with op.get_context().autocommit_block():
        # Whoever holds a row fills it by what they write; waiting for them could end in a deadlock.
        while op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM bills WHERE shown_state IS NULL)")):
            op.execute(
                """
                UPDATE bills SET shown_state = NULL WHERE id IN (
                    SELECT id FROM bills WHERE shown_state IS NULL LIMIT 5000 FOR NO KEY UPDATE SKIP LOCKED
                )
                """
            )
        op.execute("SET lock_timeout = '500ms'")
        op.execute(
            "ALTER TABLE bills DROP CONSTRAINT IF EXISTS ck_bills_shown_state, ADD CONSTRAINT ck_bills_shown_state"
            f" CHECK (shown_state IS NOT NULL AND shown_state IN ({_STATES})) NOT VALID"
        )
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        op.execute("ALTER TABLE bills VALIDATE CONSTRAINT ck_bills_shown_state")
        for name in ("ix_bills_shown_state", "ix_bills_open", "ix_bills_notes"):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        by_age = ["created_at", "id"]
        op.create_index("ix_bills_shown_state", "bills", ["shown_state", *by_age], postgresql_concurrently=True)
        op.create_index(
            "ix_bills_open",
            "bills",
            by_age,
            postgresql_include=["due_on", "partner_id", "corrects_id"],
            postgresql_where=sa.text(_OPEN),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_bills_notes",
            "bills",
            by_age,
            postgresql_where=sa.text("corrects_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_bills_state")
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.alter_column("bills", "shown_state", nullable=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("DROP TRIGGER account_rests_show_state ON account_rests")
    op.execute("DROP TRIGGER bills_show_state ON bills")
    op.execute("DROP FUNCTION show_state_by_rest()")
    op.execute("DROP FUNCTION set_shown_state()")
    op.execute(_REFUSE.format(free="'{state,dispute}'"))
    op.drop_index("ix_bills_notes", "bills")
    op.drop_column("bills", "shown_state")  # with the indexes that name it
    op.create_index("ix_bills_state", "bills", ["state", "created_at", "id"])
