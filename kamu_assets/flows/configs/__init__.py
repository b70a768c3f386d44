"""Configurations: how the flows of a binding are done."""
