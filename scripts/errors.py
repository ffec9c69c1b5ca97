"""What the launcher says when it cannot go on."""


class CannotStart(Exception):
    """Leadger cannot start or go on; the message is for the person who typed the command."""
