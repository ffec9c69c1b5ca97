"""Reading files of leads and sending them through the API."""
