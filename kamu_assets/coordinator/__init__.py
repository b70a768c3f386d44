"""What is done to a dataset: ingest and transform."""
