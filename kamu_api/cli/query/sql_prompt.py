"""The prompt of `kamu-node sql`: history, completion, statements of many lines, commands of its own."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from kamu_api.cli.failures import told
from kamu_api.cli.near_names import with_near_name
from kamu_api.cli.output import complain, print_rows, remark, say, size_text
from kamu_api.cli.query.asking import Asking
from kamu_api.cli.query.completion_words import describe_words, next_words
from kamu_api.cli.query.statements import all_statements, is_complete
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import KamuError
from kamu_assets.node import Node
from kamu_assets.odf.identity import parse_dataset_ref
from kamu_assets.query.history.model import Door, Origin
from kamu_assets.query.model import QueryRequest

_HISTORY: Final = "sql_history"
_HELP: Final = r"""\d          datasets            \d NAME   columns of a dataset
\q, Ctrl-D  leave               Ctrl-C    cancel the running query, or forget what is typed
Tab         complete            Up        what was asked before; Ctrl-R searches it
A statement ends with a semicolon and may have many lines."""
_OWN_ACCOUNT: Final = "kamu/"


class SqlPrompt:
    """Reads until it is told to end; an error is told and ends nothing."""

    def __init__(self, node: Node, asking: Asking) -> None:
        self._node = node
        self._caller = node.auth.admin_caller()
        self._asking = asking

    def run(self) -> None:
        """Ask and answer until the end of input."""
        history = self._node.settings.home / _HISTORY
        session = prompt_session(history, DatasetCompleter(self._tables, self._columns))
        remark(r"statements end with a semicolon; \? tells more")
        while True:
            try:
                text = session.prompt("sql> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if not self.take(text):
                return

    def take(self, text: str) -> bool:
        """Do what was typed; False when it was the last."""
        words = text.strip().rstrip(";").split(maxsplit=1)
        if words and words[0] in ("\\q", "exit", "quit"):
            return False
        try:
            if words and words[0].startswith("\\"):
                self._command(*words)
            else:
                for statement in all_statements(text):
                    self._ask(statement)
        except KeyboardInterrupt:
            remark("cancelled")
        except KamuError as error:
            complain(told(with_near_name(self._node, error)))
        except Exception as error:  # noqa: BLE001 - whatever it was, the next question may be asked
            complain(told(error))
        return True

    def _ask(self, statement: str) -> None:
        start = time.monotonic()
        records = self._asking.print(statement)
        if records:
            remark(f"{records:,} row(s) in {time.monotonic() - start:.2f} s")

    def _command(self, name: str, argument: str = "") -> None:
        match name:
            case "\\d" if argument:
                self._describe(argument.strip().strip('"'))
            case "\\d":
                self._list()
            case "\\?" | "\\h" | "\\help":
                say(_HELP)
            case _:
                complain(f"unknown command {name}; \\? tells those there are")

    def _list(self) -> None:
        rows = [
            {
                "name": _short(summary.entry),
                "kind": summary.entry.kind.value,
                "records": f"{summary.statistics.records:,}",
                "size": size_text(summary.statistics.data_size),
            }
            for summary in self._node.datasets.summaries(self._caller)
        ]
        print_rows(rows, columns=("name", "kind", "records", "size"))

    def _describe(self, name: str) -> None:
        entry = self._node.datasets.resolve(self._caller, parse_dataset_ref(name))
        alias = str(entry.alias).replace('"', '""')
        answer = self._node.query.query(
            self._caller, QueryRequest(f'describe "{alias}"', limit=None), origin=Origin(Door.CLI_SQL)
        )
        rows = answer.rows()
        if not rows:
            remark("no columns yet")
            return
        print_rows(rows, columns=("column_name", "data_type", "is_nullable"))

    def _tables(self) -> Sequence[str]:
        return [_short(entry) for entry in self._node.datasets.list(self._caller)]

    def _columns(self, name: str) -> Sequence[str]:
        entry = self._node.datasets.resolve(self._caller, parse_dataset_ref(name))
        schema = self._node.chains.state(entry.id).schema
        fields = schema.schema_.fields if schema is not None and schema.schema_ is not None else ()
        return [field.name for field in fields]


class DatasetCompleter(Completer):
    """Proposes names; what cannot be looked up is not proposed."""

    def __init__(self, tables: Callable[[], Sequence[str]], columns: Callable[[str], Sequence[str]]) -> None:
        self._tables = tables
        self._columns = columns

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The words that may stand at the cursor."""
        del complete_event
        before, tables = document.text_before_cursor, self._tables()
        if re.match(r"\s*\\d\s", before):
            words = describe_words(before, tables)
        else:
            words = next_words(before, document.text, tables=tables, columns=cache(self._columns))
        for word in words:
            yield Completion(word.text, start_position=-word.length, display_meta=word.kind)


def prompt_session(history: Path, completer: Completer) -> "PromptSession[str]":
    """A prompt where Enter ends what is complete and begins another line of what is not."""
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    # What was asked may be nobody else's business.
    history.touch(mode=0o600)
    return PromptSession(
        history=FileHistory(str(history)),
        completer=ThreadedCompleter(completer),
        complete_while_typing=False,
        key_bindings=keys,
        multiline=True,
        prompt_continuation="...> ",
    )


def _short(entry: DatasetEntry) -> str:
    """As queries of the node's own account call it."""
    return str(entry.alias).removeprefix(_OWN_ACCOUNT)
