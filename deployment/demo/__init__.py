"""`make demo`: a node with real data, through the public doors only (command line and REST)."""
