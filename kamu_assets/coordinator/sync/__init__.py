"""Datasets move between nodes: what both ends of a transfer say to each other (ODF: Dataset Transfer Protocols)."""
