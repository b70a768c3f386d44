"""Executing runs: the queue, warm workers, their limits, and what they leave when they die."""
