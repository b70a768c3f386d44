"""A second opinion on dataset directories: reads blocks, data and hashes on its own, sharing no code with the node.

`python -m tests.support.verifier <dataset folder>…`, or `--walk <folder of datasets>`, `--recorded <scenarios>`.
"""
