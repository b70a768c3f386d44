"""The Open Data Fabric specification as a library: no I/O, no clock, no framework."""
