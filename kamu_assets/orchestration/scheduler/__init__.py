"""The scheduler's process: one leads, the others stand by."""
