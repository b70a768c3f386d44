"""How fast, and at what cost. A workload is a module in `workloads/`; its name is what `--only` takes."""
