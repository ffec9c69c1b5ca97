"""What is agreed with a partner for its bills: terms that decide no verdict, and the usage that they charge."""
