"""Where the time goes: microseconds per action by stage and by statement."""
