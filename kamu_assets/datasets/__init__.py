"""What exists: registry, references, block index, lineage, and the commit protocol that changes them."""
