"""Reading chains: their index, their references, their states and sums."""
