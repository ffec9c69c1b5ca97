"""How much may come in: rate limit, fair share, backpressure, concurrency."""
