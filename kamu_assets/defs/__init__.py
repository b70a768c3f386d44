"""Dagster's view of the node: assets, checks, jobs and what they show. Definitions translate; they decide nothing."""
