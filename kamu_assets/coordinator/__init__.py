"""What is done to a dataset: ingest, transform, verify, adopt, and what nodes say to each other about one."""
