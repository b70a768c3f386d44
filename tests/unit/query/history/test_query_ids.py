from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.history.query_ids import first_id, new_id

MOMENTS = st.integers(0, (1 << 48) * 10**6 - 1).map(Timestamp)


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_the_millisecond_of_their_making(one: Timestamp, other: Timestamp) -> None:
    if one.millis == other.millis:
        assert first_id(one) == first_id(other) <= new_id(other)
    else:
        assert (new_id(one) < new_id(other)) == (new_id(one) < first_id(other)) == (one < other)


@given(MOMENTS)
def test_ids_are_uuids_of_version_7(moment: Timestamp) -> None:
    for id_ in (new_id(moment), first_id(moment)):
        assert str(UUID(id_)) == id_
        assert (UUID(id_).version, UUID(id_).variant) == (7, "specified in RFC 4122")
        assert UUID(id_).int >> 80 == moment.millis
