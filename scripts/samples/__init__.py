"""Sample and seed data."""
