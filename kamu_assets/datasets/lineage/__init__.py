"""Which datasets are computed from which."""
