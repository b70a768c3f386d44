"""When things run: triggers, flows, the rules that decide, and the protocol an orchestrator implements."""
