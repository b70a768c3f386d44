"""The command line answers at once: nothing heavy is loaded before a command needs it."""

import subprocess
import sys

import pytest

HEAVY = (
    *("pyarrow", "numpy", "datafusion", "dagster", "sqlalchemy", "kamu_assets.odf.identity"),
    *("fastapi", "polars", "boto3", "strawberry", "prompt_toolkit", "ruamel.yaml"),
)
_PROGRAM = """
import sys
sys.argv = ["kamu-node", *{arguments!r}]
from kamu_api.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", *(name for name in {heavy!r} if name in sys.modules))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        *([command, "--help"] for command in ("up", "add", "pull", "ingest", "sql", "tail", "log", "list", "adopt")),
        *([command, "--help"] for command in ("show", "delete", "rename", "verify", "completions", "init")),
        ["trigger", "set", "--help"],
        ["config", "set", "--help"],
        *([command, "--help"] for command in ("new", "export")),
        *(["inspect", command, "--help"] for command in ("lineage", "query", "schema")),
    ],
    ids=" ".join,
)
def test_versions_and_help_load_nothing_heavy(arguments: list[str]) -> None:
    program = _PROGRAM.format(arguments=arguments, heavy=HEAVY)

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert len(done.stdout.splitlines()) > 1
