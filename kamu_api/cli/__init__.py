"""`kamu-node`: one module per group of commands, and the supervisor that starts every process."""
