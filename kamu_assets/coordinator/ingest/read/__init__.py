"""From a file to rows: what every read step makes of its format, under limits. Runs in worker processes."""
