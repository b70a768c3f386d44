"""Bytes: the object store protocol, its backends, and the ODF layout of a dataset on top of it. No SQL, no rules."""
