"""What identifies a person, and its erasure."""
