"""Reading measured: the same questions to a node in process, to its API, and to plain DataFusion over its files."""
