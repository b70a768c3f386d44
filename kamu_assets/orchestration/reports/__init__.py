"""What Dagster is told of data: materializations, lineage of columns, freshness, checks."""
