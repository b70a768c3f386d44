"""Dagster's storages, as this node opens them."""
