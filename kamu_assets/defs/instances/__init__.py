"""Instances of components, found by Dagster's loader; their classes live beside this package."""
