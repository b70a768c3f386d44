"""The log of a flow, for its users: events and output in one order, without secrets or paths."""
