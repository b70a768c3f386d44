"""Commands about the node itself: start, stop, state, settings, engines, messages."""
