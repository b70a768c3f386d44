"""The Dagster adapter: runs, launcher, warm worker, publisher, reporter. Dagster's internals are touched here only."""
