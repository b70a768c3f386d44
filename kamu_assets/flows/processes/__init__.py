"""Processes: how what happens to datasets by itself is going, one row per binding."""
