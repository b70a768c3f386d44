"""How the node is watched: logs and health."""
