"""How datasets come into being, get other names and go."""
