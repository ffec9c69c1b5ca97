"""Webhooks: what happened, told to whoever asked for it. The rows are written with their cause and sent by a task."""
