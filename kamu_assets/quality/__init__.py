"""Data quality: what a dataset promises of its rows in an attachment, and whether they keep it. Knows no Dagster."""
