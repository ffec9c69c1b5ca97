"""Rules that find actions which no person is likely to have done (M4): pure, versioned, one file each."""
