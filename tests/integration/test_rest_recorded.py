"""REST as clients of kamu know it: recorded requests are answered as kamu answered them, byte for byte."""

from pathlib import Path

import pytest

from tests.support.rest_scenario import ScenarioPlayer
from tests.support.served_node import serving

# Steps that need what this node does not offer yet, with the capability that will play them.
_WITHOUT = {
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
    "permissions/public-reads": {},
    "rest/ingest-errors": {},
    "data/push-media-types": {},
    "data/tail-paging": {},
    "data/merge-strategies": {},
    "data/types-by-format": {},
}


@pytest.mark.parametrize("scenario", sorted(_WITHOUT))
def test_answers_are_those_of_kamu(scenario: str, tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        player = ScenarioPlayer(served, scenario)

        found = list(player.differences(without=frozenset(_WITHOUT[scenario])))

    assert found == []
