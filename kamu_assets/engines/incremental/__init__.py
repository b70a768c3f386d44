"""The engine that keeps state between runs: event-time windows and temporal joins, carried over on DataFusion.

A query is planned by DataFusion itself and must have one of the shapes of `shapes.py`; everything else is refused.
Nothing here reads a clock, and nothing depends on how the blocks of an input are grouped into runs.
"""
