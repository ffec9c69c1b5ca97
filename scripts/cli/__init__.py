"""The command line `leadger`."""
