"""What operators do beside the running system: first key, migration, backup, AWS."""
