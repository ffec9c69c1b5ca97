"""Rules of the rate card start with periods and keep their history: who made, replaced and ended them"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_PERIOD = "{0} BETWEEN 190001 AND 999912 AND {0} % 100 BETWEEN 1 AND 12"

_CONSTRAINTS = ("pk_{}", "fk_{}_partner_id", "fk_{}_product_id", "ck_{}_level", "ck_{}_amount")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("LOCK TABLE partners, rate_rules IN SHARE ROW EXCLUSIVE MODE")
    op.rename_table("rate_rules", "rates")
    _rename_constraints("rate_rules", "rates")
    op.add_column("rates", sa.Column("from_period", sa.Integer(), nullable=True))
    op.add_column("rates", sa.Column("created_by", sa.Text(), nullable=True))
    op.add_column("rates", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rates", sa.Column("ended_by", sa.Text(), nullable=True))
    op.add_column("rates", sa.Column("replaced_by", sa.BigInteger(), nullable=True))
    op.create_check_constraint(
        op.f("ck_rates_start"),
        "rates",
        f"from_period IS NULL OR effective_from IS NOT NULL AND {_PERIOD.format('from_period')}",
    )
    op.create_check_constraint(op.f("ck_rates_ended"), "rates", "(ended_at IS NULL) = (ended_by IS NULL)")
    # What runs of the release before sees the table that it knows: its plans stay valid, and no ended rule counts.
    op.execute("""
        CREATE VIEW rate_rules AS SELECT id, partner_id, product_id, lead_type, action_type, engagement_level,
            lead_type_key, action_type_key, level_key, amount_minor, effective_from, created_at
        FROM rates WHERE ended_at IS NULL
    """)
    op.create_table(
        "rate_spans",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.BigInteger(), nullable=False),
        sa.Column("from_period", sa.Integer(), nullable=True),
        sa.Column("until_period", sa.Integer(), nullable=True),
        sa.CheckConstraint(_PERIOD.format("from_period"), name=op.f("ck_rate_spans_from_period")),
        sa.CheckConstraint(_PERIOD.format("until_period"), name=op.f("ck_rate_spans_until_period")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_rate_spans_partner_id")),
        sa.ForeignKeyConstraint(["rule_id"], ["rates.id"], name=op.f("fk_rate_spans_rule_id")),
        sa.PrimaryKeyConstraint("partner_id", "rule_id", name=op.f("pk_rate_spans")),
    )
    op.create_index(op.f("ix_rate_spans_rule_id"), "rate_spans", ["rule_id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("rate_spans")
    op.execute("DROP VIEW rate_rules")
    op.drop_constraint(op.f("ck_rates_ended"), "rates")
    op.drop_constraint(op.f("ck_rates_start"), "rates")
    for column in ("replaced_by", "ended_by", "ended_at", "created_by", "from_period"):
        op.drop_column("rates", column)
    _rename_constraints("rates", "rate_rules")
    op.rename_table("rates", "rate_rules")


def _rename_constraints(old: str, new: str) -> None:
    for name in _CONSTRAINTS:
        op.execute(f"ALTER TABLE rates RENAME CONSTRAINT {name.format(old)} TO {name.format(new)}")
