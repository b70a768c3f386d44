"""Connections that somebody else asks for: which addresses may be reached, and HTTP that keeps to it."""
