"""The domain of Leadger: plain values and pure functions over the standard library, no clock, no I/O, no randomness."""
