"""Triggers: the standing rules that start flows by themselves."""
