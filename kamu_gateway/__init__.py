"""The data plane: data in, data out."""
