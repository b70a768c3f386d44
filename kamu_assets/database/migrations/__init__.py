"""Alembic migrations, forward only, one per change, applied by `Database.migrate()` and never by hand.

To add one, create `versions/<next number>_<what>.py`; its name is its revision and the numbers are the order:

    from alembic import op
    from kamu_assets.database.migrations.state import predecessor

    revision = "0006_what"
    down_revision = predecessor(revision)

    def upgrade() -> None:
        op.create_table("things", sa.Column("id", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("id"))

Write plain SQLAlchemy types (`sa.Text()`, `sa.BigInteger()`), never the column types or tables of the code: those
change, a migration does not. Leave constraints unnamed where `database.tables` has a rule for their name, and alter
tables inside `op.batch_alter_table(...)`. A contract test compares the result with the tables on SQLite and PostgreSQL.
"""
