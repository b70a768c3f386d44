"""What Dagster's UI shows of the registry: rows, the code locations that hold them, and who tells them."""
