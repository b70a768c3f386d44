"""Data that is sent to a dataset: which source it is for, how it queues, which pushes share a block."""
