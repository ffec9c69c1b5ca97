"""A process and all it starts, kept so that none of it outlives its keeper."""
