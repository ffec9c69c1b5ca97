"""Starting everything on one machine: the supervisor, its children, the home folder."""
