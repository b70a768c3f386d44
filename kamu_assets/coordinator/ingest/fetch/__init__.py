"""From a polling source to a file: what is new there, and what to remember of it. Nothing here looks inside a file."""
