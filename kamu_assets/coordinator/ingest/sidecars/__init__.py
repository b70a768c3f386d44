"""What merge strategies know of history without reading it all: derived from slices, rebuilt whenever in doubt."""
