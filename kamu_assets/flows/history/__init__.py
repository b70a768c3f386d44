"""What happened to flows: events, attempts, pages of them, and what is forgotten."""
