"""Commands about what happens to datasets: flows, triggers, configurations, processes."""
