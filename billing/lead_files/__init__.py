"""Files of leads: JSON, NDJSON and CSV, read a piece at a time."""
