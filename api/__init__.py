"""The front door: FastAPI routes, what they take and give, and who may use them."""
