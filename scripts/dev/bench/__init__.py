"""What `scripts/bench` runs: servers of its own, an open-loop load, the oracle's check, yardsticks and profiles."""
