"""What Dagster loads, one module per code location."""
