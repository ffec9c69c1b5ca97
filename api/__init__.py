"""The HTTP API: FastAPI routes, what they take and give, and who may use them."""
