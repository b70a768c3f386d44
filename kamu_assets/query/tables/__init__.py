"""What a query reads: datasets at a block as tables of the engine, and what is kept of them."""
