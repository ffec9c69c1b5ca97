"""What `leadger doctor` looks at, and how to fix what it finds."""
