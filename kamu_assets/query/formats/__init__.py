"""How values, rows and schemas are written in answers."""
