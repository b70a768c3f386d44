"""How the node is watched: logs."""
