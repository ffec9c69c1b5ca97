"""The account of a partner: what was booked, what covers what, and what is open or left."""
