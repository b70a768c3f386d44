"""A question on the command line loads no more than it needs: what it loads, somebody waits for."""

import subprocess
import sys
from pathlib import Path

from kamu_assets.node import open_node
from kamu_assets.settings import load_settings
from tests.support.running_node import environment

# Workers load engines; migrations were applied before; nothing is due at a time; the database is SQLite.
NOT_NEEDED = ("datafusion", "pyarrow", "numpy", "dagster", "alembic", "croniter", "sqlalchemy.dialects.postgresql")
_PROGRAM = """
import sys
sys.argv = ["kamu-node", "sql", "--format", "csv", "select 1 as one, 'x' as letter"]
from kamu_api.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", *sys.modules)
"""


def test_a_question_loads_what_it_needs_and_no_more(tmp_path: Path) -> None:
    open_node(load_settings(tmp_path)).close()
    variables = {**environment(), "KAMU_NODE_HOME": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", _PROGRAM], env=variables, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    *answer, loaded = done.stdout.splitlines()
    assert answer == ["one,letter", "1,x"]
    assert "sqlalchemy" in loaded.split()
    assert not set(NOT_NEEDED) & set(loaded.split())
