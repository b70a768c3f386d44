"""How a node is run: images, charts, the Dagster instance, the demo."""
