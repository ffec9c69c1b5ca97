"""Background tasks, the messages that announce work after a commit, and pauses of the workers."""
