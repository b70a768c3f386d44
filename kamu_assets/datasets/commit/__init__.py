"""The commit protocol: from events to a chain that has them, or another chain in its place."""
