"""Behind `leadger migrate`: the schema, and the login that Leadger itself uses."""
