"""Everything started on one machine: launcher, processes, embedded servers."""
