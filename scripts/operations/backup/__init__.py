"""Behind `scripts/backup` and `scripts/restore`: everything that Leadger knows, in a folder or a bucket and back."""
