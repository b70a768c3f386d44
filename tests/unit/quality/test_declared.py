"""What an attachment `quality.yaml` declares, and what is told of one that declares nothing."""

import pytest

from kamu_assets.odf.dataset import AttachmentEmbedded, AttachmentsEmbedded, SetAttachments
from kamu_assets.quality.declared import Declared, declared
from kamu_assets.quality.model import NotNull, Range, Severity, Unique, document_schema


def of(text: str, *, path: str = "quality.yaml") -> Declared:
    item = AttachmentEmbedded(path=path, content=text)
    return declared(SetAttachments(attachments=AttachmentsEmbedded(items=(item,))))


def test_rules_are_read_in_any_spelling_and_named_after_what_they_say() -> None:
    found = of(
        """
        version: 1
        checks:
        - {kind: NotNull, columns: [id, first name]}
        - {kind: unique, columns: [id], severity: warn}
        - {kind: Range, column: level, min: -1.5, max: 10}
        - {kind: Range, column: level, max: 2024-01-31, name: recent}
        - {kind: rowCountChange, min: 1}
        - {kind: rowCountChange, max: 9}
        """
    )

    assert found.problem is None
    assert [check.name for check in found.checks] == [
        "not_null_id_first_name",
        "unique_id",
        "range_level",
        "recent",
        "row_count_change",
        "row_count_change_2",
    ]
    rules = [check.rule for check in found.checks]
    assert rules[0] == NotNull(columns=("id", "first name"))
    assert rules[1] == Unique(columns=("id",), severity=Severity.WARN)
    assert rules[2] == Range(column="level", min=-1.5, max=10)
    assert [check.is_error for check in found.checks] == [True, False, True, True, True, True]


def test_other_attachments_declare_nothing() -> None:
    assert declared(None) == Declared()
    assert of("checks: nonsense", path="README.md") == Declared()
    assert of("checks: []") == Declared()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("checks: [", "quality.yaml: not YAML"),
        ("- a list", "quality.yaml: expected one document"),
        ("rules: []", "quality.yaml: rules: unknown field, allowed are `version`, `checks`"),
        ("checks: [{columns: [a]}]", "quality.yaml: checks[0]: missing field"),
        ("checks: [{kind: Sql, query: drop}]", "unknown variant 'Sql', expected one of: NotNull, Unique"),
        ("checks: [{kind: NotNull, column: a}]", "checks[0].column: unknown field, allowed are"),
        ("checks: [{kind: NotNull, columns: []}]", "checks[0].columns"),
        ("checks: [{kind: Range, column: a}]", "a range has `min`, `max` or both"),
        ("checks: [{kind: Range, column: a, min: 5, max: 1.5}]", "`min` is above `max`"),
        ("checks: [{kind: Range, column: a, min: '2024-02-01', max: '2024-01-01'}]", "`min` is above `max`"),
        ("checks: [{kind: RowCountChange, min: 2, max: 1}]", "`min` is above `max`"),
        ("checks: [{kind: Range, column: a, min: .nan}]", "a bound is a finite number"),
        ("checks: [{kind: Range, column: a, min: soon}]", "a bound is a number, a date or a time"),
        ("checks: [{kind: RowCountChange, min: many}]", "checks[0].min"),
        ("checks: [{kind: Unique, columns: [a], name: verify}]", "`verify` is a check of the node's own"),
        ("checks: [{kind: Unique, columns: [a], name: a b}]", "a name has 1 to 60 letters"),
        (
            "checks: [{kind: Unique, columns: [a], name: b}, {kind: NotNull, columns: [a], name: b}]",
            "more than one check is called `b`",
        ),
        ("version: 2\nchecks: []", "quality.yaml: version"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, problem: str) -> None:
    found = of(text)

    assert found.checks == ()
    assert found.problem is not None
    assert problem in found.problem


def test_names_fit_dagster_whatever_columns_are_called() -> None:
    found = of(
        "checks: [{kind: NotNull, columns: ['größe in %', " + "x" * 99 + "]}, {kind: NotNull, columns: ['größe']}]"
    )

    assert [check.name[:25] for check in found.checks] == ["not_null_gr_e_in_xxxxxxxx", "not_null_gr_e"]
    assert all(len(check.name) <= 60 for check in found.checks)


def test_the_schema_names_all_kinds() -> None:
    schema = document_schema()

    assert set(schema["$defs"]) >= {"NotNull", "Unique", "Range", "RowCountChange"}
    assert set(schema["properties"]) == {"version", "checks"}
