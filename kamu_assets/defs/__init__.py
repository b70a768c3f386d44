"""Dagster's view of the node: assets, jobs and what they show. Definitions translate; they decide nothing."""
