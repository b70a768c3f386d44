"""Who else is told: subscriptions of web servers to changes of datasets, and signed deliveries to them."""
