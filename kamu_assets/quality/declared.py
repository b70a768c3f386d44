"""Which checks a dataset declares. Pure: its newest attachments go in."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from kamu_assets.odf.dataset import AttachmentEmbedded, AttachmentsEmbedded, SetAttachments
from kamu_assets.odf.serde.manifest_errors import ManifestError, manifest_error
from kamu_assets.odf.serde.yaml_text import load_documents
from kamu_assets.odf.typedef import OdfModel
from kamu_assets.quality.model import NotNull, QualityDocument, Range, Rule, Severity, Unique

PATH = "quality.yaml"

_LENGTH = 60
_NOT_IN_NAMES = re.compile("[^A-Za-z0-9]+")
_CAPITAL = re.compile("(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Check:
    """A rule and what it is called."""

    name: str
    rule: Rule

    @property
    def is_error(self) -> bool:
        """Whether something is wrong when it fails."""
        return self.rule.severity is Severity.ERROR

    @property
    def text(self) -> str:
        """The rule in words."""
        match self.rule:
            case NotNull(columns=columns):
                return f"No nulls in {', '.join(columns)}"
            case Unique(columns=columns):
                return f"No two rows with the same {', '.join(columns)}"
            case Range(column=column, min=low, max=high):
                return f"{column} {_between(low, high)}"
            case rule:
                return f"Rows gained by each commit: {_between(rule.min, rule.max)}"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a dataset declares; a document that is none declares nothing, and why is told."""

    checks: tuple[Check, ...] = ()
    problem: str | None = None


def declared(attachments: SetAttachments | None) -> Declared:
    """The checks of a dataset. Attachments are anybody's text: what is wrong with them is an answer, not a failure."""
    items = attachments.attachments.items if attachments else ()
    texts = [item.content for item in items if item.path == PATH]
    if not texts:
        return Declared()
    try:
        return Declared(_named(_document(texts[-1]).checks))
    except ManifestError as error:
        return Declared(problem=f"{PATH}: {error}")


def declaring(attachments: SetAttachments | None, text: str) -> SetAttachments:
    """The attachments of a dataset with another `quality.yaml`; a ManifestError says what is wrong with the text."""
    _named(_document(text).checks)
    others = [item for item in attachments.attachments.items if item.path != PATH] if attachments else []
    document = AttachmentEmbedded(path=PATH, content=text)
    return SetAttachments(attachments=AttachmentsEmbedded(items=(*others, document)))


def _document(text: str) -> QualityDocument:
    documents = load_documents(text)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ManifestError("expected one document, an object with `checks`")
    try:
        return QualityDocument.model_validate(documents[0], by_alias=True, by_name=False)
    except ValidationError as error:
        raise manifest_error(error, QualityDocument, prefix="") from error


def _named(rules: Sequence[Rule]) -> tuple[Check, ...]:
    given = [rule.name for rule in rules if rule.name is not None]
    if twice := sorted({name for name in given if given.count(name) > 1}):
        raise ManifestError(f"more than one check is called `{twice[0]}`", path="checks")
    return tuple(_with_names(rules, {*given}))


def _with_names(rules: Sequence[Rule], taken: set[str]) -> Iterator[Check]:
    for rule in rules:
        name = rule.name or next(each for each in _candidates(rule) if each not in taken)
        taken.add(name)
        yield Check(name, rule)


def _candidates(rule: Rule) -> Iterator[str]:
    """`not_null_id_name`, `not_null_id_name_2`, …: as Dagster allows, whatever the columns are called."""
    words = [_CAPITAL.sub("_", rule.kind).lower(), *_columns_of(rule)]
    first = _NOT_IN_NAMES.sub("_", "_".join(words))[:_LENGTH].rstrip("_")
    yield first
    number = 2
    while True:
        yield f"{first}_{number}"
        number += 1


def _columns_of(rule: Rule) -> Sequence[str]:
    match rule:
        case NotNull() | Unique():
            return rule.columns
        case Range():
            return [rule.column]
        case _:
            return []


def _between(low: object, high: object) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"from {low} to {high}"


def fingerprint(rule: OdfModel) -> str:
    """Equal for rules that mean the same, whatever they are called and however serious they are."""
    return rule.model_dump_json(exclude={"name", "severity"})
