"""Managing the node: the whole node on one port, and its command line."""
