"""Is a dataset what it says it is? Chains, files and results checked against the stored bytes (ODF: Verifiability).

Nothing here trusts the rows in SQL: chains are walked from block to block, files are hashed, results computed again.
"""
