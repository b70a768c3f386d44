"""Commands about datasets: make, look, change, verify."""
