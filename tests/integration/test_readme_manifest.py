"""The manifest of README.md is added and pulled as it stands, but for the place of the file."""

from pathlib import Path

from tests.support import readme
from tests.support.command_line import Home

FILE = "/tmp/cities.csv"  # noqa: S108 - what the text says; it is replaced


def test_the_manifest_makes_two_datasets_with_data(tmp_path: Path) -> None:
    home = Home(tmp_path)
    rows = home.write("cities.csv", "city,population\nLima,10092000\nBern,134591\n")
    (manifest,) = readme.manifests(readme.README.read_text())
    assert FILE in manifest
    added = home.ok("add", home.write("manifest.yaml", manifest.replace(FILE, rows)))

    pulled = home.ok("pull", "--all")

    assert added.splitlines()[:2] == ["Added: cities", "Added: cities.large"]
    assert "kamu/cities: 2 new record(s)" in pulled
    assert home.json("sql", 'select city from "cities.large"') == [{"city": "Lima"}]
