"""Prices and deputies have instants that are finite: the last one there is was kept as infinity, which is read without a zone

With such a price no policy of the partners that it touches could be read.
"""

from alembic import op

revision = "0063"
down_revision = "0062"

_INSTANTS = (("rates", "effective_from"), ("deputies", "until"))


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for table, column in _INSTANTS:
        last = f"{column} = '9999-12-31T23:59:59.999998Z'"
        op.execute(f"UPDATE {table} SET {last} WHERE NOT isfinite({column})")  # noqa: S608 - names of ours
        op.create_check_constraint(op.f(f"ck_{table}_finite"), table, f"isfinite({column})")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for table, _ in _INSTANTS:
        op.drop_constraint(op.f(f"ck_{table}_finite"), table)
