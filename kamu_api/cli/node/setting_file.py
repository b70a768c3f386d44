"""Changes `node.yaml` in a home: what else stands there stays as it is, comments too."""

import io
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from kamu_assets.errors import InvalidError, NotFoundError
from kamu_assets.setting_origins import shown_value
from kamu_assets.setting_sections import Section
from kamu_assets.setting_values import mistake_text
from kamu_assets.setting_variables import variable_of
from kamu_assets.settings import Settings, SettingsError, file_problem, section_of
from kamu_assets.storage.files import pending_path, sync_file, sync_folder, told_plainly


class UnknownSettingError(NotFoundError):
    """No setting has this key."""

    def __init__(self, key: str) -> None:
        close = get_close_matches(key, _keys(), n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        super().__init__(f"no setting is called {key!r}{meant}; `kamu-node config list` shows those there are")


class SettingFile:
    """One `node.yaml`, read now and written by `save`."""

    def __init__(self, home: Path) -> None:
        self.path = home / "node.yaml"
        self._yaml = YAML()
        self._yaml.preserve_quotes = True
        self._yaml.width = 4096
        self._text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        self._content = self._loaded()

    def set(self, key: str, text: str) -> object:
        """Let a key have the value that a text means as YAML, if it may; returns the value as it may be shown."""
        section, name = _parted(key)
        value = _meant(key, text)
        checked = _checked(section, name, value)
        part = self._content.setdefault(section, CommentedMap())
        if not isinstance(part, dict):
            raise SettingsError(f"{self.path}: {section}: must be a map, not {part!r}; mend it first")
        part[name] = _written(value)
        return shown_value(checked)

    def unset(self, key: str) -> bool:
        """Let a key have its default again; False if nothing else was said."""
        section, name = _parted(key)
        part = self._content.get(section)
        if not isinstance(part, dict) or name not in part:
            return False
        del part[name]
        if not part:
            del self._content[section]
        return True

    def save(self) -> None:
        """Write the whole file or nothing."""
        # Who keeps it elsewhere keeps it there.
        target = self.path.resolve()
        with told_plainly(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            pending = pending_path(target.parent)
            try:
                pending.write_text(self._dumped(), encoding="utf-8")
                # It may hold passwords.
                pending.chmod(target.stat().st_mode if target.exists() else 0o600)
                sync_file(pending)
                pending.replace(target)
            finally:
                with suppress(FileNotFoundError):
                    pending.unlink()
            sync_folder(target.parent)

    def _loaded(self) -> Any:
        try:
            # As the node reads it.
            yaml.safe_load(self._text)
            content = self._yaml.load(self._text)
        except (yaml.YAMLError, YAMLError) as error:
            raise SettingsError(f"{self.path}: {file_problem(error)}; mend it first") from error
        if content is None:
            return CommentedMap()
        if not isinstance(content, CommentedMap):
            raise SettingsError(f"{self.path}: {file_problem(TypeError())}; mend it first")
        return content

    def _dumped(self) -> str:
        out = io.StringIO()
        if self._content:
            self._yaml.dump(self._content, out)
        only_comments = yaml.safe_load(self._text) is None
        kept = self._text.rstrip() + "\n" if only_comments and self._text.strip() else ""
        return kept + out.getvalue()


def setting_of_environment(key: str) -> str | None:
    """The variable that says otherwise than the file, if there is one."""
    return variable_of(_parted(key))


def _keys() -> list[str]:
    return [f"{name}.{key}" for name in Settings.model_fields for key in getattr(section_of(name), "model_fields", ())]


def _parted(key: str) -> tuple[str, str]:
    if key == "home":
        raise InvalidError("the home is no setting of its own file: --home or KAMU_NODE_HOME names it")
    if key not in _keys():
        raise UnknownSettingError(key)
    section, _, name = key.partition(".")
    return section, name


def _meant(key: str, text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidError(
            f"{key}: {text!r} is {file_problem(error)}; text with special characters needs quotes"
        ) from error


def _checked(section: str, name: str, value: object) -> object:
    kind: type[Section] | None = section_of(section)
    if kind is None:
        raise UnknownSettingError(f"{section}.{name}")
    try:
        return getattr(kind.model_validate({name: value}), name)
    except ValidationError as error:
        mistakes = [{**mistake, "loc": (section, *mistake["loc"])} for mistake in error.errors()]
        raise SettingsError(next(mistake_text(Settings, mistake) for mistake in mistakes)) from error


def _written(value: object) -> object:
    """Text that the node would read as something else gets quotes."""
    if isinstance(value, str) and yaml.safe_load(value) != value:
        return DoubleQuotedScalarString(value)
    return value
