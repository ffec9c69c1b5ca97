"""Behind `scripts/dbml`: the data model as a diagram in DBML, drawn from the tables."""
