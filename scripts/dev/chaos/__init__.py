"""Every fault of the design, done to a real Leadger under load, with the independent oracle's verdict at the end."""
