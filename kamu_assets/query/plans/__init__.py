"""What the plan of a query tells about the rows that it needs."""
