"""Mail about bills: to the partner, and to people of ours whom a bill waits for."""
