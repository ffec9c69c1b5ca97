"""The rules of webhooks: what is told, where it may go, and when it is tried again."""
