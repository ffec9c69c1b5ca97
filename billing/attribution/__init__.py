"""Attribution: what led to the actions that matter, and what they cost by it."""
