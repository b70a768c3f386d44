"""Who is asking: accounts, tokens, callers."""
