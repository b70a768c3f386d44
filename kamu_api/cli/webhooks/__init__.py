"""Commands about who else is told of changes."""
