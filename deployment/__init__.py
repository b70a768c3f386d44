"""How a node is run and watched: Dagster's settings, a dashboard, the demo."""
