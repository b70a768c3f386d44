"""REST: query, tail, ingest, system."""
