"""How much traffic is accepted: rate limit, fair share, backpressure, concurrency limit."""
