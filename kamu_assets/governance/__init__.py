"""What callers may do to datasets."""
