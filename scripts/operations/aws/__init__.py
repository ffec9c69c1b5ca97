"""Behind `scripts/on-aws`: what only a task beside the database can do, and stopping and starting what writes to it."""
