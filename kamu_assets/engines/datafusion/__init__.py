"""The engine named `datafusion`."""
