"""`info/alias` names a dataset where there is no registry: for other ODF software, and to rebuild one."""

from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.lookup import DEFAULT_ACCOUNT
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.identity import DatasetAlias


def said_instead(files: DatasetFiles, entry: DatasetEntry) -> str | None:
    """What the file says instead of the dataset's name; None if it says just that."""
    try:
        found = files.alias()
    except DamagedDatasetError as error:
        return error.reason
    if found is None:
        return "nothing"
    named = DatasetAlias(found.account or DEFAULT_ACCOUNT, found.name)
    return None if named == entry.alias else f"'{found}'"
