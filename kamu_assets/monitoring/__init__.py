"""How the node is watched: logs without secrets, and metrics of all its processes."""
