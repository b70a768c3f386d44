"""Engines in other processes, spoken to as kamu speaks to its engine containers (ODF: `engine.proto`)."""
