"""The settings of an installation: its people, API keys, seller and audit."""
