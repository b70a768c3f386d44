import pytest

from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.odf.dataset import AddPushSource, SetInfo
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.source import MergeStrategyAppend, MergeStrategyLedger, ReadStepNdJson
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import START, a_hash, a_schema
from tests.support.heart import Heart

DAY = 86_400_000
SOURCE = AddPushSource(source_name="default", read=ReadStepNdJson(), merge=MergeStrategyAppend())
BY_ID = AddPushSource(source_name="default", read=ReadStepNdJson(), merge=MergeStrategyLedger(primary_key=("id",)))


def day(number: int) -> Timestamp:
    return Timestamp.from_millis(START.millis + number * DAY)


@pytest.fixture
def past(heart: Heart) -> PastStates:
    return PastStates(database=heart.database, volumes=heart.volumes)


def test_every_state_of_a_chain_can_be_had_again(heart: Heart, past: PastStates) -> None:
    entry = heart.dataset("log", a_schema(), SOURCE)
    states = [heart.chains.state(entry.id)]
    for event in (SetInfo(description="one"), BY_ID, SetInfo(description="two")):
        heart.add_data(entry.id)
        heart.committer.commit(entry.id, expected_head=None, events=[event], system_time=START)
        states.append(heart.chains.state(entry.id))

    for _ in range(2):
        found = [past.state(entry.id, state.head) for state in states if state.head]
        assert found == states


def test_a_block_of_elsewhere_has_no_state(heart: Heart, past: PastStates) -> None:
    entry, other = heart.dataset("log"), heart.dataset("other")

    assert past.state(entry.id, a_hash("nowhere")) is None
    assert past.state(entry.id, heart.chains.head(other.id)) is None


def test_points_are_found_up_to_a_block(heart: Heart, past: PastStates) -> None:
    entry = heart.dataset("log")
    made = heart.chains.head(entry.id)
    heads = []
    for number in (1, 2, 3):
        heart.clock.set(day(number))
        heads.append(heart.add_data(entry.id))

    def newest(point: Multihash | int | Timestamp, until: Multihash = heads[-1]) -> Multihash | None:
        return past.newest(entry.id, point, until=until)

    assert [newest(offset) for offset in (0, 9, 10, 29, 30)] == [heads[0], heads[0], heads[1], heads[2], heads[2]]
    assert [newest(day(number)) for number in (-1, 0, 1, 2, 99)] == [None, made, heads[0], heads[1], heads[2]]
    assert newest(Timestamp(day(2).ns - 1)) == heads[0]
    assert newest(heads[1]) == heads[1]
    assert newest(a_hash("nowhere")) is None
    assert (newest(heads[2], heads[0]), newest(25, heads[0]), newest(day(9), made)) == (None, heads[0], made)
