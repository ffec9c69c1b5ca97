"""The rate card that Leadger ships with (R5)"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_RULES = [
    (None, None, "High", 1000),
    (None, None, "Medium", 500),
    (None, None, "Low", 200),
    ("Email Campaign", "Click", "High", 1500),
    ("Referral", "Signup", "High", 2000),
    ("Conference", "Attendance", "High", 1500),
]


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    rules = sa.table(
        "rate_rules",
        *(sa.column(name) for name in ("lead_type", "action_type", "engagement_level")),
        *(sa.column(name) for name in ("lead_type_key", "action_type_key", "level_key", "amount_minor")),
    )
    op.bulk_insert(
        rules,
        [
            {
                "lead_type": lead_type,
                "action_type": action_type,
                "engagement_level": level,
                "lead_type_key": lead_type and lead_type.casefold(),
                "action_type_key": action_type and action_type.casefold(),
                "level_key": level.casefold(),
                "amount_minor": amount_minor,
            }
            for lead_type, action_type, level, amount_minor in _RULES
        ],
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DELETE FROM rate_rules")
