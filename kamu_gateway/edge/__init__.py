"""Shared by every door: the caller, the error table, the request log, health."""
