"""Settings: show, explain, change."""

from typing import Annotated

import typer

from kamu_api.cli.options import AsJson, Home
from kamu_api.cli.output import print_json, print_rows, remark, say, warn

Key = Annotated[str, typer.Argument(help="such as http.port", show_default=False)]
Keys = Annotated[str | None, typer.Argument(help="only this key or those below it, at length", show_default=False)]


def register(app: typer.Typer) -> None:
    config = typer.Typer(help="What can be set, and what is set.", no_args_is_help=True)
    config.command("list")(list_settings)
    config.command("get")(get)
    config.command("set")(set_)
    config.command("unset")(unset)
    config.command("docs")(docs)
    app.add_typer(config, name="config")
    # Its former name.
    app.command("settings", hidden=True)(list_settings)


def list_settings(key: Keys = None, home: Home = None, as_json: AsJson = False) -> None:
    """Print every setting: key, value, where it was said.

    KAMU_NODE__HTTP__PORT in the environment, or node.yaml in the home, sets `http.port`.
    """
    from kamu_api.cli.node.setting_rows import chosen_settings, setting_facts, setting_text
    from kamu_assets.settings import load_settings

    rows = chosen_settings(load_settings(home), key)
    if as_json:
        print_json([setting_facts(row) for row in rows])
    elif key is not None:
        for row in rows:
            say(setting_text(row))
    else:
        print_rows([{"key": row.key, "from": row.source, "value": row.value} for row in rows])
        remark("`kamu-node config list http` tells what the keys of `http` mean, and so for others")


def get(key: Key, home: Home = None, as_json: AsJson = False) -> None:
    """Print the value of one setting that is in force."""
    from kamu_api.cli.node.setting_file import UnknownSettingError
    from kamu_api.cli.node.setting_rows import setting_facts
    from kamu_assets.setting_origins import describe_settings
    from kamu_assets.settings import load_settings

    row = next((row for row in describe_settings(load_settings(home)) if row.key == key), None)
    if row is None:
        raise UnknownSettingError(key)
    if as_json:
        print_json(setting_facts(row))
    else:
        say(row.value)


def set_(
    key: Key,
    value: Annotated[str, typer.Argument(help="as in YAML", show_default=False)],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write one setting to node.yaml of the home, if the value may be; the rest of the file stays as it is."""
    from kamu_api.cli.node.setting_file import SettingFile
    from kamu_assets.settings import home_folder

    file = SettingFile(home_folder(home))
    meant = file.set(key, value)
    file.save()
    if as_json:
        print_json({"key": key, "value": meant, "file": str(file.path)})
    else:
        say(f"{key} is set in {file.path}; a node reads it when it starts")
    _tell_of_environment(key)


def unset(key: Key, home: Home = None, as_json: AsJson = False) -> None:
    """Take one setting out of node.yaml of the home: its default holds again."""
    from kamu_api.cli.node.setting_file import SettingFile
    from kamu_assets.settings import home_folder

    file = SettingFile(home_folder(home))
    was_set = file.unset(key)
    if was_set:
        file.save()
    if as_json:
        print_json({"key": key, "wasSet": was_set, "file": str(file.path)})
    else:
        say(f"{key} is {'no longer' if was_set else 'not'} set in {file.path}")
    _tell_of_environment(key)


def docs(as_json: AsJson = False) -> None:
    """Print the reference of all settings as Markdown: every key, its default, what it may be."""
    from kamu_api.cli.node.setting_page import reference_page
    from kamu_api.cli.node.setting_rows import setting_facts
    from kamu_assets.setting_origins import default_settings

    rows = default_settings()
    if as_json:
        print_json([setting_facts(row) for row in rows])
    else:
        print(reference_page(rows), end="")


def _tell_of_environment(key: str) -> None:
    from kamu_api.cli.node.setting_file import setting_of_environment

    variable = setting_of_environment(key)
    if variable is not None:
        warn(f"{variable} in the environment wins over the file")
