"""Rows written to files instead of answered."""
