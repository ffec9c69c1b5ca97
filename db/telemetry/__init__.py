"""What operators see: logs, traces, counters, metrics, health."""
