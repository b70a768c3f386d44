import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_gateway.edge.said_twice import said_twice

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(DOCUMENTS)
def test_what_is_said_once_is_none(document: object) -> None:
    assert said_twice(json.dumps(document)) is None


@pytest.mark.parametrize(
    "document", ['{"a":1,"a":1}', '[[{"b":{"c":0,"a":{},"a":[]}}]]', '{"a":1,"\\u0061":2}', b'{"b":{},"a":1,"a":2}']
)
def test_members_are_found_at_any_depth(document: bytes | str) -> None:
    assert said_twice(document) == "a"


def test_numbers_may_be_long() -> None:
    assert said_twice("[" + "9" * 10_000 + "]") is None
