"""The parts of the group `flows`: thousands of pipelines at once, and years of history."""
