"""What the routes take and give: wire values to domain values and back."""
