"""Commands that ask: SQL, tails, exports, and the history of what was asked."""
