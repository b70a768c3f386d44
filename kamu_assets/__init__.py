"""The heart: what a node knows and does. The doors (`kamu_gateway`, `kamu_api`) call it; it knows nothing of them."""
