"""REST as clients of kamu know it: recorded requests are answered as kamu answered them, byte for byte."""

import json
from pathlib import Path

import pytest

from tests.support.rest_scenario import RECORDED, ScenarioPlayer
from tests.support.served_node import serving

# Steps that this node answers otherwise, or not yet, and why.
_WITHOUT: dict[str, dict[str, str]] = {
    "rest/node": {
        "unreadable dataset by id": "private datasets",
        "ui config": "the web platform",
        "landing page": "the web platform",
        "console": "GraphQL",
    },
    "rest/proof-and-verify": {},
    "rest/query": {},
    "rest/tail": {},
    "rest/cors": {
        "preflight /graphql": "GraphQL",
        "simple POST": "GraphQL",
        "preflight /platform/login": "logins",
        "preflight /ui-config": "the web platform",
    },
    "auth/bearer-kinds": {
        "validate, no header": "logins",
        "validate, bad token": "logins",
        "validate, good token": "logins",
    },
    "permissions/public-mutations": {
        "ingest by the editor": "roles",
        "ingest by the maintainer": "roles",
    },
    "permissions/public-reads": {},
    "rest/ingest-errors": {},
    "data/push-media-types": {"nd": "the reference did not read two pushes before that, and we did"},
    "data/query": {
        "describe": "the reference tells no columns of datasets",
        "columns": "the reference tells no columns of datasets",
    },
    "data/sql-types": {"float specials as CSV": "REST has no CSV, where the reference writes the word null"},
    "data/tail-paging": {},
    "data/merge-strategies": {"latest state, name as a text": "names in single quotes are names here, too"},
    "data/types-by-format": {},
}
# Scenarios with REST calls that need what this node does not offer yet.
_LATER = {
    "accounts/delete": "accounts through GraphQL",
    "accounts/quotas": "quotas",
    "accounts/rename": "accounts through GraphQL",
    "auth/access-tokens": "access tokens through GraphQL",
    "auth/device-flow": "logins",
    "datasets/delete": "datasets through GraphQL",
    "datasets/rename": "datasets through GraphQL",
    "datasets/visibility": "private datasets",
    "flows/compaction": "flows through GraphQL",
    "flows/lists": "flows through GraphQL",
    "metadata/chain": "metadata through GraphQL",
    "metadata/current-root": "metadata through GraphQL",
    "odata/feeds": "OData",
    "rest/upload": "uploads",
    "single-tenant/basics": "nodes of one account",
    "statistics/growth": "statistics through GraphQL",
    "transfer/simple": "ODF transfer",
}


@pytest.mark.parametrize("scenario", sorted(_WITHOUT))
def test_answers_are_those_of_kamu(scenario: str, tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        player = ScenarioPlayer(served, scenario)

        found = list(player.differences(without=frozenset(_WITHOUT[scenario])))

    assert found == []


def test_whatever_is_recorded_is_played_or_left_out_with_a_reason(reference: Path) -> None:
    folder = reference / "kamu-api" / "recorded" / "scenarios"
    if not folder.is_dir():
        pytest.skip("needs the whole reference material (KAMU_REFERENCE_DIR)")
    with_calls = {
        f"{file.parent.name}/{file.stem}"
        for file in folder.glob("*/*.json")
        if any("path" in step.get("request", {}) for step in json.loads(file.read_text())["steps"])
    }

    assert with_calls <= set(_WITHOUT) | set(_LATER)
    assert not set(_WITHOUT) & set(_LATER)


@pytest.mark.parametrize("scenario", sorted(_WITHOUT))
def test_what_is_left_out_is_there(scenario: str) -> None:
    names = {step.get("name") for step in json.loads((RECORDED / f"{scenario}.json").read_text())["steps"]}

    assert set(_WITHOUT[scenario]) <= names
