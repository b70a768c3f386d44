"""Data slices: written in one pass, and read as they are listed."""
