"""Rules of the rate card start with periods and keep their history: who made, replaced and ended them"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0017"

_PERIOD = "{0} BETWEEN 190001 AND 999912 AND {0} % 100 BETWEEN 1 AND 12"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("LOCK TABLE partners, rate_rules IN SHARE ROW EXCLUSIVE MODE")
    op.add_column("rate_rules", sa.Column("from_period", sa.Integer(), nullable=True))
    op.add_column("rate_rules", sa.Column("created_by", sa.Text(), nullable=True))
    op.add_column("rate_rules", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rate_rules", sa.Column("ended_by", sa.Text(), nullable=True))
    op.add_column("rate_rules", sa.Column("replaced_by", sa.BigInteger(), nullable=True))
    op.create_check_constraint(
        op.f("ck_rate_rules_start"),
        "rate_rules",
        f"from_period IS NULL OR effective_from IS NULL AND {_PERIOD.format('from_period')}",
    )
    op.create_check_constraint(op.f("ck_rate_rules_ended"), "rate_rules", "(ended_at IS NULL) = (ended_by IS NULL)")
    op.create_table(
        "rate_rule_spans",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.BigInteger(), nullable=False),
        sa.Column("from_period", sa.Integer(), nullable=True),
        sa.Column("until_period", sa.Integer(), nullable=True),
        sa.CheckConstraint(_PERIOD.format("from_period"), name=op.f("ck_rate_rule_spans_from_period")),
        sa.CheckConstraint(_PERIOD.format("until_period"), name=op.f("ck_rate_rule_spans_until_period")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_rate_rule_spans_partner_id")),
        sa.ForeignKeyConstraint(["rule_id"], ["rate_rules.id"], name=op.f("fk_rate_rule_spans_rule_id")),
        sa.PrimaryKeyConstraint("partner_id", "rule_id", name=op.f("pk_rate_rule_spans")),
    )
    op.create_index(op.f("ix_rate_rule_spans_rule_id"), "rate_rule_spans", ["rule_id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("rate_rule_spans")
    op.drop_constraint(op.f("ck_rate_rules_ended"), "rate_rules")
    op.drop_constraint(op.f("ck_rate_rules_start"), "rate_rules")
    for column in ("replaced_by", "ended_by", "ended_at", "created_by", "from_period"):
        op.drop_column("rate_rules", column)
