"""Brings what SQL says and what the store holds together again."""
