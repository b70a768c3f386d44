"""Merge strategies: what an input changes, given what was there before. Pure over frames and sidecars."""
