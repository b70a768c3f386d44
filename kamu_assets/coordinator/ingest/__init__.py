"""New data for root datasets: fetch, read, preprocess, merge, write; polled and pushed."""
