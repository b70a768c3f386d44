"""A module per workload or group of them, with `measure() -> Iterator[Measurement]`. To add one, add a file."""
