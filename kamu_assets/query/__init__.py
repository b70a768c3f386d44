"""Reading: SQL over datasets and their tails, in worker processes."""
