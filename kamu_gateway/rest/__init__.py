"""REST, a module per resource: query, verify, tail, metadata, ingest, system, metrics, and their description."""
