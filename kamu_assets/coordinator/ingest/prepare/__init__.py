"""Between fetching and reading: archives become the one file in them, as streams. Runs in worker processes."""
