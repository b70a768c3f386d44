"""The Dagster adapter: run creation, launcher, warm worker, catalog publisher, reporter. Dagster's internals are touched here only."""
