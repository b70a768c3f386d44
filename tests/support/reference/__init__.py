"""Where the reference material is: a folder beside the checkout, or the packed copy in this one."""

import hashlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[3]
ARCHIVE = Path(__file__).with_name("odf.tar.xz")
NEEDED = ("odf/vectors", "odf/recorded")


def reference_folder() -> Path:
    """The folder holding `odf/vectors` and `odf/recorded`: KAMU_REFERENCE_DIR (default `../shared`), else our copy."""
    beside = (PROJECT / os.environ.get("KAMU_REFERENCE_DIR", "../shared")).resolve()
    if all((beside / folder).is_dir() for folder in NEEDED):
        return beside
    return unpacked()


def unpacked() -> Path:
    """The packed copy, unpacked once per version of it and shared by all processes of this user."""
    version = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / f"kamu-node-reference-{os.getuid()}-{version}"
    if not target.is_dir():
        _unpack_to(target)
    if target.stat().st_uid != os.getuid():
        msg = f"{target} belongs to somebody else; refusing to read test data from it"
        raise PermissionError(msg)
    return target


def _unpack_to(target: Path) -> None:
    growing = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    with tarfile.open(ARCHIVE, mode="r:xz") as archive:
        archive.extractall(growing, filter="data")
    try:
        # Complete or absent, never half: parallel test workers race for this name.
        growing.rename(target)
    except OSError:
        shutil.rmtree(growing)
        if not target.is_dir():
            raise
