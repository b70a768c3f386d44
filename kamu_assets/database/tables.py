"""The one collection of tables: each area declares its own on `metadata`, in the module that queries them.

Conditions of partial indexes are told once, as `sqlite_where`: every database that a table mentions is loaded with it.
The migrations, which make the indexes, mention all.
"""

from sqlalchemy import MetaData

# Fixed names, so that migrations can speak of constraints on every database.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
