"""Compute: the engine protocol, its implementations and the limited child processes they run in."""
