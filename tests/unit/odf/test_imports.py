import subprocess
import sys

PROGRAM = """
import sys
import kamu_assets.odf.chain_rules, kamu_assets.odf.snapshot
import kamu_assets.odf.serde.flatbuffers, kamu_assets.odf.serde.yaml
sys.exit(bool({"pyarrow", "numpy"} & set(sys.modules)))
"""


def test_the_metadata_part_of_the_library_does_not_load_arrow() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], check=False)

    assert finished.returncode == 0
