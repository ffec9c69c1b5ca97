"""Verdicts: reading, judging and writing them, and what changes them later."""
