"""Rows: transactions, column types, the outbox, migrations. What the rows mean lives in the areas above."""
