"""The `flows` location: the node's own jobs. It never reloads."""

from kamu_assets.defs.jobs import flow_definitions

defs = flow_definitions()
