"""Why rows could not be read: which file, line, column and value are to blame, and what to do."""
